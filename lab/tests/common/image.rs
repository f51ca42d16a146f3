//! What every test program on nodes begins with: the image.

use std::error::Error;
use std::sync::OnceLock;

use lab::image::{Image, Options};

/// What the nodes run, built if it is not there; or what is missing.
pub(crate) fn image() -> Result<Image, String> {
    static IMAGE: OnceLock<Result<Image, String>> = OnceLock::new();
    let build = || {
        #[expect(clippy::print_stdout, reason = "a long step says what it does")]
        let mut tell = |what: &str| println!("{what}");
        lab::kernel::image(&Options::from_env(), &mut tell).map_err(|error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}")
        })
    };
    IMAGE.get_or_init(build).clone()
}

/// The same, with our package installed in it.
#[allow(dead_code, reason = "not every program needs it")]
pub(crate) fn image_with_package() -> Result<Image, String> {
    if Options::from_env().packages.is_empty() {
        return Err("there is no package of ours to install in the nodes (`make deb`)".to_owned());
    }
    image()
}
