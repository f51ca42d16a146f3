//! The image as it really is built: by whom may, once, and not again until something changes.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

use std::sync::mpsc;
use std::time::SystemTime;

use lab::image::{Image, ImageError, Options};
use lab::kernel::{KernelError, image};

/// What was said while it was built.
fn built(options: &Options) -> Result<(Image, Vec<String>), ImageError> {
    let mut said = Vec::new();
    match image(options, &mut |text| said.push(text.to_owned())) {
        Ok(image) => Ok((image, said)),
        Err(KernelError::Image(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

/// The real cache, or nothing where the image cannot be built.
fn options() -> Option<Options> {
    let mut options = Options::from_env();
    options.agent = env!("CARGO_BIN_EXE_lab-agent").into();
    options.packages = Vec::new();
    match built(&options) {
        Ok(_) => Some(options),
        Err(error) if std::env::var_os("CI").is_some() => panic!("{error}"),
        Err(error) => {
            println!("SKIPPED: {error}");
            None
        }
    }
}

#[test]
fn the_image_is_built_once_and_anew_when_something_of_it_changes() {
    let Some(mut options) = options() else { return };
    let (image, said) = built(&options).unwrap();
    assert_eq!(said, Vec::<String>::new(), "it was there");
    let changed = |image: &Image| -> SystemTime { std::fs::metadata(&image.base).unwrap().modified().unwrap() };
    let before = changed(&image);
    assert!(image.kernel.is_file() && image.modules.is_dir());
    let metadata = std::fs::metadata(&image.base).unwrap();
    assert!(metadata.permissions().readonly());
    assert_eq!(metadata.len(), options.size_mib << 20);
    // Another size is another image, of the same packages.
    options.size_mib += 1;
    let (other, said) = built(&options).unwrap();
    assert_ne!(other.base, image.base);
    assert!(!said.iter().any(|text| text.contains("packages")), "{said:?}");
    assert_eq!(changed(&image), before);
    std::fs::remove_dir_all(other.base.parent().unwrap()).unwrap();
    let (_, said) = built(&options).unwrap();
    // Other tests build as well.
    assert_eq!(said.last().map(String::as_str), Some("putting the image together"));
    std::fs::remove_dir_all(other.base.parent().unwrap()).unwrap();
}

#[test]
fn two_builders_at_once_build_one_image() {
    let Some(mut options) = options() else { return };
    options.size_mib += 2;
    let (said_to, said) = mpsc::channel();
    let builders = [(); 2].map(|()| {
        let (options, said_to) = (options.clone(), said_to.clone());
        std::thread::spawn(move || image(&options, &mut |text| said_to.send(text.to_owned()).unwrap()).unwrap())
    });
    let images = builders.map(|builder| builder.join().unwrap());
    assert_eq!(images[0].base, images[1].base);
    drop(said_to);
    let built = said.into_iter().filter(|text| text == "putting the image together").count();
    assert!(built <= 1, "built {built} times");
    std::fs::remove_dir_all(images[0].base.parent().unwrap()).unwrap();
}

#[test]
fn an_agent_that_does_not_run_in_the_node_is_said_before_a_node_boots() {
    let Some(mut options) = options() else { return };
    let agent = std::env::temp_dir().join(format!("lab-bad-agent-{}", std::process::id()));
    std::fs::write(&agent, "#!/no/such/interpreter\n").unwrap();
    options.agent = agent.clone();
    let error = built(&options).unwrap_err();
    std::fs::remove_file(&agent).unwrap();
    let ImageError::Agent { .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains("LAB_AGENT"), "{error}");
}

#[test]
fn a_package_that_does_not_install_is_said_with_dpkgs_words() {
    let Some(mut options) = options() else { return };
    let package = std::env::temp_dir().join(format!("lab-bad-{}.deb", std::process::id()));
    std::fs::write(&package, "no package").unwrap();
    options.packages.push(package.clone());
    let error = built(&options).unwrap_err();
    std::fs::remove_file(&package).unwrap();
    let text = error.to_string();
    assert!(text.starts_with("cannot install our packages in the image") && text.contains("dpkg"), "{text}");
}
