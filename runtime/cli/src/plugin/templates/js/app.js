export function greet(options) {
  if (options.name === "") {
    throw "there is nobody to greet";
  }
  const greeting = `Hello, ${options.name}.`;
  return options.loud ? greeting.toUpperCase() : greeting;
}
