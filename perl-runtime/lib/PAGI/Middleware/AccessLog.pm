package PAGI::Middleware::AccessLog;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future;
use Future::AsyncAwait;
use POSIX ();
use Scalar::Util qw(blessed);
use Time::HiRes qw(time);

# Log lines are read by machines: month names must not follow the locale.
my @MONTHS = qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec);

sub _init {
    my ($self, $config) = @_;
    $self->{logger} = $config->{logger} // sub { warn $_[0] };
    $self->{format} = $config->{format} // 'combined';
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';
        return $self->_logged($app, $scope, $receive, $send);
    };
}

sub _logged {
    my ($self, $app, $scope, $receive, $send) = @_;
    my $started = time;
    my ($status, $size) = (undef, 0);
    my $done = eval {
        $app->($scope, $receive, sub {
            my ($event) = @_;
            if (ref $event eq 'HASH') {
                my $type = $event->{type} // '';
                if    ($type eq 'http.response.body')  { $size += length($event->{body} // '') }
                elsif ($type eq 'http.response.start') { $status = $event->{status} }
            }
            return $send->($event);
        });
    } // Future->fail($@ || 'the application returned no Future');
    if (blessed $done && $done->isa('Future') && $done->is_done) {
        $self->{logger}->($self->_line($scope, $status // 0, $size, time - $started));
        return $done;
    }
    return _settled($done, sub {
        my ($ok) = @_;
        $self->{logger}->($self->_line($scope, $status // ($ok ? 0 : 500), $size, time - $started));
    });
}

async sub _settled {
    my ($done, $log) = @_;
    my $ok = eval { await $done; 1 };
    my $error = $@;
    $log->($ok);
    die $error unless $ok;
    return;
}

sub _line {
    my ($self, $scope, $status, $size, $elapsed) = @_;
    my ($referer, $agent) = ('-', '-');
    for my $pair (@{ $scope->{headers} || [] }) {
        my $name = lc $pair->[0];
        if    ($name eq 'referer')    { $referer = $pair->[1] // '-' }
        elsif ($name eq 'user-agent') { $agent   = $pair->[1] // '-' }
    }
    my ($ip, $method, $target, $query) = (
        ($scope->{client} && $scope->{client}[0]) // '-', $scope->{method} // '-', $scope->{path} // '/', $scope->{query_string} // '',
    );
    # nearly always there is nothing to escape, and one look tells
    $_ = _safe($_) for "$ip$method$target$query$referer$agent" =~ /[^ !#-\[\]-~]/ ? ($ip, $method, $target, $query, $referer, $agent) : ();
    $target .= "?$query" if length $query;

    my $format = $self->{format};
    return sprintf "%s %s %s %.3fs\n", $method, $target, $status, $elapsed
        if $format ne 'combined' && $format ne 'common';
    my $line = "$ip - - [" . _timestamp() . qq{] "$method $target HTTP/} . ($scope->{http_version} // '1.1')
        . qq{" $status $size};
    return "$line\n" if $format eq 'common';
    return sprintf qq{%s "%s" "%s" %.3fs\n}, $line, $referer, $agent, $elapsed;
}

# What a client sends must neither end a line nor a quoted field.
sub _safe {
    my ($text) = @_;
    utf8::encode($text) if $text =~ /[^\x00-\xff]/ || utf8::is_utf8($text);
    $text =~ s/([\x00-\x1f\x7f"\\])/sprintf '\\x%02X', ord $1/ge;
    return $text;
}

# A busy worker writes many lines in one second; the zone is looked up once for them.
my ($stamped, $stamp) = (0, '');

sub _timestamp {
    my $now = int time;
    return $stamp if $now == $stamped;
    my @t = localtime $now;
    $stamp = sprintf '%02d/%s/%04d:%02d:%02d:%02d %s',
        $t[3], $MONTHS[ $t[4] ], $t[5] + 1900, @t[ 2, 1, 0 ], POSIX::strftime('%z', @t);
    $stamped = $now;
    return $stamp;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::AccessLog - one log line per finished HTTP request

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    open my $log, '>>', 'access.log' or die $!;
    my $app = builder {
        enable 'AccessLog', format => 'common', logger => sub { print {$log} $_[0] };
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. The line is written when the inner application has finished; if it
failed, with the status it had sent or 500, and the error goes on unchanged. Enable it outside
C<ErrorHandler>, so that the status of the error page is what gets logged.

The server has an access log of its own which costs less; use this one to log from inside the
application, per mount, or with a logger of your own.

=head1 OPTIONS

=over 4

=item logger

Coderef, called with one line (bytes, newline included). Default: C<warn>.

=item format

C<combined> (default), C<common>; any other value means tiny:

    combined  IP - - [TIME] "METHOD TARGET HTTP/VERSION" STATUS SIZE "REFERER" "AGENT" 0.123s
    common    IP - - [TIME] "METHOD TARGET HTTP/VERSION" STATUS SIZE
    tiny      METHOD TARGET STATUS 0.123s

=back

TARGET is the decoded path and the query string; TIME is local time; SIZE is the number of body
bytes in C<body> keys (C<file> and C<fh> bodies count 0); STATUS is 0 when the application ended
without a response. Control characters, C<"> and C<\> in values from the client are written as
C<\xHH>; characters beyond ASCII in the path as UTF-8.

=cut
