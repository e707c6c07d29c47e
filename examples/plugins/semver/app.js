import semver from "semver";

function known(version) {
  const parsed = semver.parse(version);
  if (parsed === null) throw `${version} is no version`;
  return parsed;
}

export const versions = {
  parse(version) {
    const { major, minor, patch, prerelease } = known(version);
    return { major, minor, patch, prerelease: prerelease.map(String) };
  },
  compare(left, right) {
    const order = semver.compare(known(left), known(right));
    return order < 0 ? "less" : order > 0 ? "greater" : "equal";
  },
  satisfies(version, range) {
    return semver.satisfies(version, range);
  },
  largest(versions, range) {
    return semver.maxSatisfying(versions, range) ?? undefined;
  },
};
