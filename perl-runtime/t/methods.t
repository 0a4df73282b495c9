use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Find ();
use PAGITest::Modules qw(module_files);

# Every public method of the toolkit is in the documentation of its class and called by a test. A call is looked for by the
# method's name, so this finds what was forgotten, not what was tested badly.

# Classes that applications and tests do not use themselves: their callers are tested.
my $INTERNAL = qr/\A(?:AnyEvent::|PAGI::Native|PAGI::Shared::|PAGI::WorkerPool::|PAGI::Middleware::Support::|PAGI::App::\w+::|PAGI::App::Support::|PAGI::Test::(?:Loop|Pairs|Lifespan|Connection)\z)/;
# Methods that only other classes of the framework call, by class.
my %INSIDE = (
    'PAGI::Lifespan'                      => [qw(add_scope_hooks)],
    'PAGI::Request::Body'                 => [qw(is_limit)],
    'PAGI::Request::MultipartParser'      => [qw(is_complete)],
    'PAGI::Request::Query'                => [qw(of_scope)],
    'PAGI::Shared'                        => [qw(interest)],
    'PAGI::Simple::CORS'                  => [qw(for_response is_allowed preflight_headers)],
    'PAGI::Simple::Callback'              => [qw(waitable)],
    'PAGI::Simple::ErrorPage'             => [qw(for_exception)],
    'PAGI::Simple::Home'                  => [qw(add_lib shared_assets)],
    'PAGI::Simple::Mount'                 => [qw(covers child_scope)],
    'PAGI::Simple::Pattern'               => [qw(is_static)],
    'PAGI::Simple::PubSub::Local'         => [qw(attach)],
    'PAGI::Simple::PubSub::Shared'        => [qw(attach)],
    'PAGI::Simple::Request'               => [qw(for_context)],
    'PAGI::Simple::Route'                 => [qw(steps blocking_step)],
    'PAGI::Simple::Services'              => [qw(end_request)],
    'PAGI::Simple::Static'                => [qw(covers)],
    'PAGI::Simple::View'                  => [qw(render_for render_string_for)],
    'PAGI::Simple::View::Form'            => [qw(value_of errors_on)],
    'PAGI::Simple::View::Helpers'         => [qw(functions)],
    'PAGI::Simple::View::Helpers::Form'   => [qw(functions options_from_collection humanize)],
    'PAGI::Simple::View::Helpers::Html'   => [qw(functions)],
    'PAGI::Simple::View::Helpers::Htmx'   => [qw(functions)],
    'PAGI::Simple::View::RenderContext'   => [qw(functions)],
    'PAGI::Simple::View::Directive'       => [qw(get)],
    'PAGI::Sync'                          => [qw(hand_over)],
    'PAGI::WorkerPool'                    => [qw(note_trace)],
);
# Names that a test puts together, and where: request/properties.t, context/factory.t, simple/connections.t.
my %MADE = (
    'PAGI::Request' => [ map { "is_$_" } qw(get post put patch delete head options) ],
    'PAGI::Context' => [qw(assert_http assert_websocket assert_sse)],
);

my $tests = '';
File::Find::find({ no_chdir => 1, wanted => sub {
    return unless -f && /\.(?:t|pl|pm|tt)\z/ && !m{/methods\.t\z};
    open my $in, '<:raw', $_ or die "$_: $!";
    local $/;
    $tests .= readline($in) . "\n";
} }, 't');

# ->name, Class::name, 'name', name(, name => and the words of qw lists
my %called = map { $_ => 1 } $tests =~ /(?:->\s*|::|')(\w+)/g, $tests =~ /\b(\w+)(?=['(\/]|\s+=>)/g, map { split } $tests =~ /\bqw[(\/]([^)\/]*)/g;

my ($methods, $classes) = (0, 0);
for my $file (module_files()) {
    open my $in, '<:raw', $file or die "$file: $!";
    my ($code, $pod) = split /^__END__$/m, do { local $/; readline $in }, 2;
    my ($class) = $code =~ /^package ([\w:]+)/m or next;
    # what connects other frameworks is tested with them
    next if $class !~ /\APAGI::/ || $class =~ $INTERNAL;
    my %skipped = map { $_ => 1 } @{ $INSIDE{$class} || [] };
    my %made    = map { $_ => 1 } @{ $MADE{$class} || [] };
    # every middleware has it, and PAGI::Middleware says what it is
    $skipped{wrap} = 1 if $class =~ /\APAGI::Middleware::/ && $code =~ /^sub wrap\b/m;
    my @public = grep { !$skipped{$_} } $code =~ /^(?:async )?sub ([a-z]\w*)/mg;
    $classes++;
    $methods += @public;
    is [ grep { ($pod // '') !~ /\b\Q$_\E\b/ } @public ], [], "$class: every method is documented";
    is [ grep { !$made{$_} && !$called{$_} } @public ], [], "$class: and called by a test";
    is [ grep { $code !~ /^(?:async )?sub \Q$_\E\b/m } keys %skipped ], [], "$class: what is left out is there";
}
cmp_ok $methods, '>', 800, "$methods methods of $classes classes";

done_testing;
