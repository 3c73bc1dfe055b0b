//! Puts the browser's files into the binary: what `scripts/build-web` left in `target/site`.

/// Relative to the crate; the same folder that `[package.metadata.leptos]` names.
const SITE: &str = "target/site";

fn main() -> std::io::Result<()> {
    if std::env::var_os("CARGO_FEATURE_SSR").is_none() {
        return Ok(());
    }
    // A server can be compiled and tested before the browser's half was ever built.
    std::fs::create_dir_all(SITE)?;
    memory_serve::load_directory(SITE);
    Ok(())
}
