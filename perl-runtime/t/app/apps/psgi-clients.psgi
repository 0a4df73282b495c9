use v5.36;

# What t/app/psgi-clients.t asks for. Notes, a line each, go into a file.

sub note ($text) { open my $file, '>>', $ENV{TEST_NOTES} or die "Cannot write $ENV{TEST_NOTES}: $!"; syswrite $file, "$text\n"; return }
sub noted ($line) { open my $file, '<', $ENV{TEST_NOTES} or die "$!"; return scalar grep { $_ eq "$line\n" } readline $file }

package Endless;
sub getline ($self) { return 'y' x 65_536 }
sub close ($self) { main::note('closed'); return }

package main;
my @kept;
sub ($env) {
    my $path = $env->{PATH_INFO};
    my $reply = sub ($text) { return [200, ['Content-Type' => 'text/plain'], [$text]] };
    return $reply->('ok') if $path eq '/';
    push @{ $env->{'psgix.cleanup.handlers'} }, sub { note("cleaned $path") };
    if ($path eq '/length') {
        my $size = 0;
        while (my $got = $env->{'psgi.input'}->read(my $bytes, 65_536)) { $size += $got }
        note("length $size");
        return $reply->("$size $env->{CONTENT_LENGTH}");
    }
    if ($path =~ m{\A/wait/(\w+)}) {
        # Blocks until it is told to go on.
        my $name = $1;
        push @{ $env->{'psgix.cleanup.handlers'} }, sub { select undef, undef, undef, 0.02 until noted("go $name"); note("went $name") };
        return sub ($respond) { my $writer = $respond->([200, ['Content-Type' => 'text/plain']]); $writer->write('streamed'); $writer->close } if $name =~ /stream/;
        return $reply->('complete');
    }
    return [200, ['Content-Type' => 'text/plain'], bless {}, 'Endless'] if $path eq '/endless';
    return sub ($respond) { $respond->([200, ['Content-Type' => 'text/plain'], bless {}, 'Endless']) } if $path eq '/delayed-endless';
    return sub ($respond) { push @kept, $respond; note('kept') } if $path eq '/kept';
    return sub ($respond) { push @kept, $respond->([200, ['Content-Type' => 'text/plain']]); $kept[-1]->write('first') } if $path eq '/kept-writer';
    return sub ($respond) { return } if $path eq '/never';
    return $reply->("\x{263a}") if $path eq '/wide';
    return [200, ['Content-Type' => 'text/plain', 'Set-Cookie' => 'a=1', 'Set-Cookie' => 'b=2'], [$env->{HTTP_COOKIE} // 'none']] if $path eq '/cookies';
    return [404, [], []];
};
