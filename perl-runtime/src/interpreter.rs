//! Starting Perl and loading an application.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::native;
use crate::perl::interpreter;
use crate::perl::value::{Outcome, Scalar};
use crate::worker_api::{AppSource, AppSpec};

/// The Perl interpreter of this process. It stays on the thread that started it.
pub struct Interpreter {
    _one_thread: std::marker::PhantomData<*const ()>,
}

/// Where the code of an application is; absolute paths.
#[derive(Debug, Default)]
pub struct Sources {
    /// Directories with everything below them.
    pub directories: Vec<PathBuf>,
    /// Files.
    pub files: Vec<PathBuf>,
}

/// A loaded application.
pub struct Application {
    pub(crate) code: Scalar,
    /// What to call it in messages: file or module, with the line where its code begins.
    pub(crate) name: String,
    /// It blocks and is a plain request and response: with a pool, all its requests belong there.
    pub(crate) blocking: bool,
    /// Whether another event loop than the native one was chosen.
    pub(crate) has_foreign_loop: bool,
    /// Clients are shown its exceptions: in development mode only.
    pub(crate) shows_errors: bool,
}

impl Application {
    /// Whether it runs on another event loop than the native one, which then holds descriptors of the worker.
    #[must_use]
    pub fn has_foreign_loop(&self) -> bool {
        self.has_foreign_loop
    }
}

impl Interpreter {
    /// Starts Perl. To be called once per process; `lib_dir` is the directory of the Perl library that ships with the
    /// server, which is put at the end of `@INC` so that an application's own copy of a module wins.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn start(lib_dir: &Path) -> Result<Self, String> {
        interpreter::start()?;
        let bootstrap = lib_dir.join("PAGI/Native.pm");
        if !bootstrap.is_file() {
            return Err(format!(
                "the server's Perl library is not in {} (PAGI/Native.pm is missing)",
                lib_dir.display()
            ));
        }
        finish(interpreter::require_file(&path(&bootstrap)))?;
        call(c"PAGI::Native::start", &[&path(lib_dir)])?;
        Ok(Self { _one_thread: std::marker::PhantomData })
    }

    /// Loads an application.
    ///
    /// # Errors
    /// The finished text to print, with Perl's own message.
    pub fn load(&mut self, spec: &AppSpec) -> Result<Application, String> {
        if let Some(name) = &spec.foreign_loop {
            call(c"PAGI::Native::use_foreign_loop", &[&Scalar::text(name)])?;
        }
        let (kind, source) = match &spec.source {
            AppSource::Code(code) => ("code", code.as_str()),
            AppSource::Named(name) => ("named", name.as_str()),
            AppSource::Default => ("default", ""),
        };
        let mut arguments = Vec::new();
        let mut option = |name: &str, value: Scalar| arguments.extend([Scalar::text(name), value]);
        option("kind", Scalar::text(kind));
        option("source", Scalar::bytes(source.as_bytes()));
        option("mode", Scalar::text(&spec.mode));
        option("shows_errors", Scalar::int(i64::from(spec.shows_errors)));
        option("pool", Scalar::int(i64::from(spec.pool)));
        option("quiet", Scalar::int(i64::from(spec.quiet)));
        option("default_middleware", Scalar::int(i64::from(spec.default_middleware)));
        for include in &spec.include {
            option("include", path(include));
        }
        for module in &spec.modules {
            option("module", Scalar::bytes(module.as_bytes()));
        }
        for mount in &spec.mounts {
            option("mount", Scalar::bytes(mount.place.as_bytes()));
            for argument in &mount.arguments {
                option("mount_argument", Scalar::bytes(argument.as_bytes()));
            }
        }
        for argument in &spec.arguments {
            option("argument", Scalar::bytes(argument.as_bytes()));
        }
        let arguments: Vec<&Scalar> = arguments.iter().collect();
        let code = call(c"PAGI::Native::Loader::load", &arguments)?;
        let name = call(c"PAGI::Native::Loader::describe", &[&code])?.display();
        let blocking = call(c"PAGI::Native::Loader::is_blocking", &[&code])?.view().int() == Ok(1);
        Ok(Application {
            code,
            name,
            blocking,
            has_foreign_loop: spec.foreign_loop.is_some(),
            shows_errors: spec.shows_errors,
        })
    }

    /// Where the code of the application is, also of one that could not be loaded. What came with the system or the server is
    /// left out.
    #[must_use]
    pub fn sources(&mut self) -> Sources {
        let mut sources = Sources::default();
        if let Ok(listed) = call(c"PAGI::Native::Loader::sources", &[]) {
            for line in listed.view().bytes().unwrap_or_default().split(|&byte| byte == b'\n') {
                let Some((kind, path)) = line.split_first() else { continue };
                let path = PathBuf::from(OsStr::from_bytes(path));
                if *kind == b'd' { sources.directories.push(path) } else { sources.files.push(path) }
            }
        }
        sources
    }

    /// To be called in a child right after fork: random numbers and the loop's descriptors become its own.
    pub fn after_fork(&mut self) {
        interpreter::after_fork();
        native::reactor().adopt();
    }

    /// Runs END blocks and global destruction, for a process that ends without having served.
    #[must_use]
    pub fn end(self) -> i32 {
        interpreter::end()
    }
}

fn path(path: &Path) -> Scalar {
    Scalar::bytes(path.as_os_str().as_bytes())
}

fn call(function: &std::ffi::CStr, arguments: &[&Scalar]) -> Result<Scalar, String> {
    finish(Scalar::call_named(function, arguments))
}

fn finish(outcome: Outcome) -> Result<Scalar, String> {
    match outcome {
        Outcome::Returned(value) => Ok(value),
        Outcome::Died(error) => Err(error.display().trim_end().to_owned()),
        Outcome::Exit => {
            // exit while loading is exit: the application asked for the process to end.
            let status = interpreter::end();
            std::process::exit(status);
        }
    }
}
