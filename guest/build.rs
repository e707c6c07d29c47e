//! Tells cargo what else goes into the module: build.sh compiles the C and names the linker.

fn main() {
    for input in ["link.sh", "memory", "sjlj", "build.sh"] {
        println!("cargo::rerun-if-changed={input}");
    }
}
