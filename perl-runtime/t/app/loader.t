use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(call_app http_scope text_of);
use Cwd qw(getcwd);
use File::Temp ();
use PAGI::App::Loader;

my $dir = File::Temp->newdir;
sub write_file ($code, $mtime = undef) {
    open my $file, '>', "$dir/app.pl" or die;
    print {$file} $code;
    close $file or die;
    utime $mtime, $mtime, "$dir/app.pl" if $mtime;
}
sub app_code ($text) {"use AppHelper; AppHelper::app_saying('$text')"}
sub brief ($app, %more) { my ($sent) = call_app($app, http_scope('/', %more)); return ($sent->[0]{status} // $sent->[0]{type}) . ' ' . text_of($sent) }

write_file(app_code('one'), time - 100);
my $plain = PAGI::App::Loader->new(file => "$dir/app.pl")->to_app;
my $reloading = PAGI::App::Loader->new(file => "$dir/app.pl", reload => 1)->to_app;
is [brief($plain), brief($reloading)], ['200 one', '200 one'], 'loaded';
write_file(app_code('two'), time - 50);
is [brief($plain), brief($reloading)], ['200 one', '200 two'], 'reloaded if told so';

my $cwd = getcwd();
chdir "$dir" or die;
my $relative = PAGI::App::Loader->new(file => 'app.pl')->to_app;
chdir $cwd or die;
is brief($relative), '200 two', 'a relative name means the current directory';

write_file('use TestApps::Component; TestApps::Component->new(body => "object")', time - 40);
is brief($reloading), '200 object', 'an object';

my $broken = sub ($code, $expect) {
    write_file($code, time - 30 - int rand 10_000);
    my $answer;
    my $warnings = warnings { $answer = brief($reloading) };
    is $answer, '500 App failed to load', 'answer';
    like $warnings->[0], $expect, 'warning';
};
$broken->('die "broken\n"', qr{\AError loading \Q$dir\E/app\.pl: broken\n});
$broken->('this is } no perl', qr{\AError loading});
$broken->('42', qr{\A\Q$dir\E/app\.pl did not return a coderef});
$broken->('{}', qr{did not return a coderef});
write_file(app_code('mended'), time - 5);
is brief($reloading), '200 mended', 'tried again';

my $missing = PAGI::App::Loader->new(file => "$dir/missing.pl")->to_app;
my $answer;
like warning { $answer = brief($missing) }, qr/Error loading .*missing\.pl: No such file/, 'a missing file warns';
is $answer, '500 App failed to load', 'and is answered';
like warning { $answer = brief($missing, type => 'sse') }, qr/Error loading/, 'each time';
is $answer, '500 App failed to load', 'in the family of the scope';
like warning { like dies { call_app($missing, { type => 'lifespan' }) }, qr/App failed to load/, 'lifespan fails' }, qr/Error loading/, 'with a warning';

done_testing;
