//! Applications under test: those in files, and those written inside a test.

use std::path::PathBuf;

/// An application in `tests/apps`.
pub fn test_app(name: &str) -> PathBuf {
    existing(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("apps").join(name))
}

/// The application file of an example.
pub fn example(name: &str) -> PathBuf {
    existing(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).join("app.pl"))
}

fn existing(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What applications written inside a test begin with. `answer` sends a whole response; `note` appends a line to the
/// file `notes` of the scratch directory, in one write, so that several processes may do it.
const PRELUDE: &str = r#"use v5.36;
use Future;
use Future::AsyncAwait;
use Future::IO;
my ($scratch) = __FILE__ =~ m{\A(.*)/};
async sub answer ($send, $body, $status = 200, @headers) {
    await $send->({ type => 'http.response.start', status => $status, headers => [
        [ 'content-type', 'text/plain' ], [ 'content-length', length $body ], @headers ] });
    await $send->({ type => 'http.response.body', body => $body });
}
sub note ($line) {
    open my $notes, '>>', "$scratch/notes" or die "notes: $!";
    syswrite $notes, "$line\n";
}
"#;

/// An application of the prelude and this code, whose last value is the application.
pub fn perl(code: &str) -> String {
    format!("{PRELUDE}{code}\n")
}

/// An application that declines lifespan and runs this code for each request, with `$scope`, `$receive`, `$send` and
/// the request's `$path`.
pub fn handler(code: &str) -> String {
    perl(&format!(
        "async sub handle ($scope, $receive, $send) {{
    my $path = $scope->{{path}};
{code}
}}
sub application {{
    die qq{{no lifespan\\n}} if $_[0]{{type}} eq 'lifespan';
    goto &handle;
}}
\\&application;"
    ))
}

/// The number of the line that contains a text, as Perl counts.
pub fn line_of(text: &str, wanted: &str) -> usize {
    let position = text.lines().position(|line| line.contains(wanted));
    1 + position.unwrap_or_else(|| panic!("{wanted:?} is not in the text"))
}
