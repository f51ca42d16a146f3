//! The name by which programs ask for the library: another number is another interface, and both can be installed.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libreactor_storage_c.so.0");
    println!("cargo::rerun-if-changed=build.rs");
}
