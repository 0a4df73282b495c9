package PAGI::Simple::Logger;

use strict;
use warnings;

use Carp qw(croak);
use Future::AsyncAwait;
use PAGI::Middleware::AccessLog;
use Time::HiRes ();

our @CARP_NOT = qw(PAGI::Simple);

my %PRESET = (
    combined => '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %Ts',
    common   => '%h %l %u %t "%r" %>s %b',
    tiny     => '%m %U%q %>s %Ts',
);
my %OPTION = map { $_ => 1 } qw(format output skip skip_if loop);

sub new {
    my ($class, %options) = @_;
    my @unknown = grep { !$OPTION{$_} } sort keys %options;
    croak 'Unknown options to enable_logging: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort keys %OPTION) if @unknown;
    my $format = defined $options{format} ? $options{format} : 'combined';
    croak "Unknown log format '$format' (expected " . join(', ', sort keys %PRESET) . ' or a string with % specifiers)'
        unless $PRESET{$format} || $format =~ /%/;
    my $self = bless {
        format => $PRESET{$format} || $format,
        skip   => { map { $_ => 1 } @{ $options{skip} || [] } },
        skip_if => $options{skip_if},
        loop    => $options{loop},
    }, $class;
    $self->{write} = _writer($options{output});
    return $self;
}

sub _writer {
    my ($output) = @_;
    return sub { print STDERR "$_[0]\n" } unless defined $output;
    return $output if ref $output eq 'CODE';
    my $handle = $output;
    if (!ref $output && ref \$output ne 'GLOB') {
        undef $handle;
        open $handle, '>>', $output or croak "Cannot open the log file $output: $!";
    }
    require IO::Handle;
    $handle->autoflush(1);
    return sub { print {$handle} "$_[0]\n" };
}

sub set_loop {
    my ($self, $loop) = @_;
    $self->{loop} = $loop;
    return $self;
}

sub should_log {
    my ($self, $path, $status) = @_;
    return 0 if $self->{skip}{$path};
    return 0 if $self->{skip_if} && $self->{skip_if}->($path, $status);
    return 1;
}

# Around the whole application, so that unmatched, static and mounted requests are logged too.
sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';
        return $self->_logged($app, $scope, $receive, $send);
    };
}

async sub _logged {
    my ($self, $app, $scope, $receive, $send) = @_;
    my $started = Time::HiRes::time();
    my ($status, $size) = (undef, 0);
    my $watched = $self->wrap_send($send, sub { ($status, my $bytes) = @_; $size += $bytes });
    my $ok = eval { await $app->($scope, $receive, $watched); 1 };
    my $error = $@;
    $self->log(
        scope => $scope, status => defined $status ? $status : $ok ? 0 : 500, size => $size,
        duration => Time::HiRes::time() - $started,
    );
    die $error unless $ok;
    return;
}

sub wrap_send {
    my ($self, $send, $callback) = @_;
    my $status;
    return sub {
        my ($event) = @_;
        if (ref $event eq 'HASH') {
            my $type = defined $event->{type} ? $event->{type} : '';
            if ($type eq 'http.response.start') {
                $status = $event->{status};
                $callback->($status, 0);
            }
            elsif ($type eq 'http.response.body') {
                my $length = defined $event->{length} ? $event->{length}
                    : defined $event->{file} ? (-s $event->{file} || 0) - ($event->{offset} || 0)
                    : length(defined $event->{body} ? $event->{body} : '');
                $callback->($status, $length);
            }
        }
        return $send->($event);
    };
}

sub log {
    my ($self, %args) = @_;
    my $path = defined $args{scope}{path} ? $args{scope}{path} : '/';
    return $self unless $self->should_log($path, $args{status});
    (my $line = $self->{format}) =~ s/%(?:\{([^}]+)\}i|(Ts)|>?([a-zA-Z%]))/$self->_specifier($1, $2 || $3, \%args)/ge;
    $self->{write}->($line);
    return $self;
}

sub _specifier {
    my ($self, $header, $letter, $args) = @_;
    my $scope = $args->{scope};
    if (defined $header) {
        my ($pair) = grep { lc $_->[0] eq lc $header } @{ $scope->{headers} || [] };
        return _known($pair && $pair->[1]);
    }
    my $method = _known($scope->{method});
    my $path   = PAGI::Middleware::AccessLog::_safe(defined $scope->{path} ? $scope->{path} : '/');
    my $query  = defined $scope->{query_string} && length $scope->{query_string}
        ? '?' . PAGI::Middleware::AccessLog::_safe($scope->{query_string}) : '';
    my $protocol = 'HTTP/' . (defined $scope->{http_version} ? $scope->{http_version} : '1.1');
    return $letter eq '%' ? '%'
        : $letter eq 'Ts' ? sprintf '%.3fs', $args->{duration} || 0
        : $letter eq 'T'  ? int($args->{duration} || 0)
        : $letter eq 'D'  ? int(1_000_000 * ($args->{duration} || 0))
        : $letter eq 'h' || $letter eq 'a' ? _known($scope->{client} && $scope->{client}[0])
        : $letter eq 't'  ? '[' . PAGI::Middleware::AccessLog::_timestamp() . ']'
        : $letter eq 'r'  ? "$method $path$query $protocol"
        : $letter eq 's'  ? _known($args->{status})
        : $letter eq 'b'  ? ($args->{size} || '-')
        : $letter eq 'B'  ? $args->{size} || 0
        : $letter eq 'm'  ? $method
        : $letter eq 'U'  ? $path
        : $letter eq 'q'  ? $query
        : $letter eq 'H'  ? $protocol
        : $letter eq 'P'  ? $$
        :                   '-';
}

# A client on a Unix socket has no address, for one.
sub _known {
    my ($text) = @_;
    return defined $text ? PAGI::Middleware::AccessLog::_safe($text) : '-';
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Logger - the access log

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->enable_logging(format => 'tiny', output => sub { print "$_[0]\n" }, skip => ['/health']);

=head1 DESCRIPTION

One line for every HTTP response of the application, whoever made it: routes, mounts, static files, error pages. What clients send is
written with control characters and quotes escaped.

=head1 METHODS

=head2 new

=over 4

=item format

C<combined> (default), C<common>, C<tiny> (C<METHOD path status duration>) or a format string with C<%h %l %u %t %r %s %b %B %m %U %q %H %P %T %D>,
C<%{Header}i> and C<%Ts>, the seconds with three decimals and an C<s>.

=item output

A handle, a file name to append to, or a coderef called with the line without its newline. Default STDERR.

=item skip, skip_if

Arrayref of paths; coderef called with path and status.

=item loop

Kept for compatibility; writing needs no loop.

=back

Croaks C<Unknown options to enable_logging: ...>, C<Unknown log format 'X' ...>, C<Cannot open the log file FILE: ...>.

=head2 wrap

    my $logged = $logger->wrap($app);

=head2 wrap_send

    my $watched = $logger->wrap_send($send, sub { my ($status, $bytes) = @_; ... });

Calls back for the start (0 bytes) and for every body event.

=head2 should_log

1 unless the path or status is skipped.

=head2 log

    $logger->log(scope => $scope, status => 200, size => $bytes, duration => $seconds);

=head2 set_loop

Returns the logger.

=cut
