# The program, with its completions and manual pages.
{ lib, rustPlatform, rustc, installShellFiles, stdenv }:
let
  needed = (lib.importTOML ../Cargo.toml).workspace.package.rust-version;
in
assert lib.assertMsg (lib.versionAtLeast rustc.version needed)
  "sloth-runner needs rustc ${needed}, and this nixpkgs has ${rustc.version}; take a later nixpkgs for it";
rustPlatform.buildRustPackage {
  pname = "sloth-runner";
  version = (lib.importTOML ../Cargo.toml).workspace.package.version;
  src = lib.cleanSource ../.;
  cargoLock.lockFile = ../Cargo.lock;
  nativeBuildInputs = [ installShellFiles ];
  # The tests boot machines and take their time: CI runs them.
  doCheck = false;
  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    installShellCompletion --cmd sloth-runner \
      --bash <($out/bin/sloth-runner completions bash) \
      --fish <($out/bin/sloth-runner completions fish) \
      --zsh <($out/bin/sloth-runner completions zsh)
    mkdir pages
    $out/bin/sloth-runner man --dir pages
    installManPage pages/*.1
    mkdir -p $out/lib/sloth-runner
    $out/bin/sloth-runner sandbox precompile --out $out/lib/sloth-runner/guest.cwasm
  '';
  # Whether it comes with what steps run in, compiled ahead.
  passthru.hasGuest = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
  meta = {
    description = "Runs automation without trusting it";
    license = lib.licenses.mit;
    mainProgram = "sloth-runner";
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };
}
