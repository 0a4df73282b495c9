use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/lib';
use Bench::Page;
use Digest::MD5 qw(md5_hex);
use Plack::Builder;
use Plack::Util ();

# Two of the ten are not packaged for Debian. As coderefs they cost a little less than as classes.
my $count = 0;
my $request_id = sub {
    my ($app) = @_;
    return sub {
        my ($env) = @_;
        my $id = $env->{'bench.request_id'} = sprintf '%08x-%04x-%08x', time, $$ & 0xffff, ++$count;
        return Plack::Util::response_cb($app->($env), sub { push @{ $_[0][1] }, 'X-Request-ID' => $id });
    };
};
my $etag = sub {
    my ($app) = @_;
    return sub {
        return Plack::Util::response_cb($app->($_[0]), sub {
            my ($response) = @_;
            return if ref $response->[2] ne 'ARRAY' || Plack::Util::header_exists($response->[1], 'ETag');
            Plack::Util::header_set($response->[1], 'ETag', '"' . md5_hex(@{ $response->[2] }) . '"');
            return;
        });
    };
};

builder {
    enable 'AccessLog', logger => sub { };
    enable $request_id;
    enable 'Runtime';
    enable 'HTTPExceptions';
    enable 'Header', set => [
        'X-Frame-Options'        => 'SAMEORIGIN',
        'X-Content-Type-Options' => 'nosniff',
        'X-XSS-Protection'       => '1; mode=block',
        'Referrer-Policy'        => 'strict-origin-when-cross-origin',
    ];
    enable 'CrossOrigin', origins => '*';
    enable 'Head';
    enable 'ConditionalGET';
    enable $etag;
    enable 'ContentLength';
    sub { [ 200, [ 'Content-Type' => 'text/html' ], [ Bench::Page::html() ] ] };
};
