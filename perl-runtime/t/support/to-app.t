use v5.36;
use lib 't/lib';
use Test2::V0;
use Future;
use PAGI::Utils qw(:all);
use TestApps::Component;
use TestApps::FakeMiddleware;

sub body_of ($app) {
    my $body = '';
    $app->({ type => 'http' }, sub { Future->new }, sub { $body .= $_[0]{body} // ''; Future->done })->get;
    return $body;
}

my $code = sub { Future->done };
ref_is to_app($code), $code, 'a coderef comes back unchanged';

my $blessed = bless sub { Future->done }, 'My::BlessedApp';
sub My::BlessedApp::to_app { die 'never called' }
ref_is to_app($blessed), $blessed, 'so does a blessed one, even with a to_app method (RUN-3)';

is body_of(to_app(TestApps::Component->new(body => 'mine'))), 'mine', 'an object gives its app';
is body_of(to_app('TestApps::Component')), 'component', 'a loaded class gives its app';

{
    package My::Inline;
    sub to_app { my $code = sub { $_[2]->({ body => 'inline' }) }; return $code }
}
is body_of(to_app('My::Inline')), 'inline', 'so does a package without a file: nothing is loaded';
ok !TestApps::AutoLoaded->can('to_app'), 'not loaded yet';
{
    local $@ = 'kept';
    my $app = to_app('TestApps::AutoLoaded');
    my $error = $@;
    is $error, 'kept', 'loading leaves $@ alone';
    is body_of($app), 'auto-loaded', 'a class is loaded on demand';
}

my %refused = (
    'undef'                     => [undef, qr/to_app\(\) requires an app, component, or class name/],
    'hashref'                   => [{}, qr/Cannot coerce HASH reference to a PAGI app/],
    'arrayref'                  => [[], qr/Cannot coerce ARRAY reference to a PAGI app/],
    'object without to_app'     => [bless({}, 'My::Plain'), qr/Cannot coerce My::Plain object to a PAGI app \(no to_app method\)/],
    'middleware object'         => [TestApps::FakeMiddleware->new,
        qr/TestApps::FakeMiddleware looks like middleware, not an app - pass it to enable\(\), or wrap an app with ->wrap\(\$app\)/],
    'middleware class'          => ['TestApps::FakeMiddleware',
        qr/'TestApps::FakeMiddleware' looks like middleware, not an app - pass it to enable\(\)/],
    'class that does not exist' => ['No::Such::Class', qr/Failed to load 'No::Such::Class': Can't locate/],
    'class without to_app'      => ['Test2::V0', qr/'Test2::V0' does not have a to_app\(\) method/],
    'string that is no package' => ['system("x"); 1', qr/Cannot coerce 'system\("x"\); 1' to a PAGI app/],
    'name with a newline'       => ["Foo\n", qr/Cannot coerce 'Foo\n' to a PAGI app/],
    'importer of to_app itself' => ['My::Importer', qr/'My::Importer' does not have a to_app\(\) method/],
);
{
    package My::Importer;
    PAGI::Utils->import('to_app');
    $INC{'My/Importer.pm'} = __FILE__;
}
for my $name (sort keys %refused) {
    my ($thing, $message) = @{ $refused{$name} };
    my $error = dies { to_app($thing) };
    like $error, $message, "refuses: $name";
    like $error, qr/to-app\.t line/, '... from the perspective of the caller';
}

subtest 'is_response' => sub {
    {
        package My::Response;
        sub new     { bless {}, shift }
        sub respond { }
    }
    is is_response(My::Response->new), 1, 'anything with respond';
    is is_response($_->[0]), 0, "exactly 0 for $_->[1]"
        for [undef, 'undef'], ['My::Response', 'a string'], [{}, 'a hashref'], [[], 'an arrayref'],
            [TestApps::Component->new, 'another object'];
};

done_testing;
