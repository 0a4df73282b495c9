use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use Plack::App::URLMap;
use Plack::Builder;
use Plack::Request;

# A PSGI application with Plack's middleware, as it is.

my $here = File::Basename::dirname(Cwd::abs_path(__FILE__));

my $hello = sub {
    my ($env) = @_;
    my $request = Plack::Request->new($env);
    my $name = $request->parameters->{name} // 'world';
    return [200, ['Content-Type' => 'text/plain'], ["Hello, $name\n"]];
};

# Streams as it goes along; may block, in a process of the pool.
my $count = sub {
    my ($env) = @_;
    return sub {
        my ($respond) = @_;
        my $writer = $respond->([200, ['Content-Type' => 'text/plain']]);
        for my $n (1 .. 3) {
            $writer->write("$n\n");
            select undef, undef, undef, 0.05;
        }
        $writer->close;
    };
};

my $upload = sub {
    my ($env) = @_;
    my $file = Plack::Request->new($env)->uploads->{file} or return [400, ['Content-Type' => 'text/plain'], ["No file\n"]];
    return [200, ['Content-Type' => 'text/plain'], [join(' ', $file->filename, $file->size), "\n"]];
};

builder {
    enable 'Head';
    enable 'ContentLength';
    enable 'Static', path => sub { s{\A/static/}{} }, root => "$here/static";
    mount '/count'  => $count;
    mount '/upload' => $upload;
    mount '/'       => $hello;
};
