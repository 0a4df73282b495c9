package PAGI::Middleware::XSendfile;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future;
use Scalar::Util qw(blessed);
use PAGI::Middleware::Support::Headers qw(without_headers);
use PAGI::Middleware::Support::Reply qw(in_turn);
use PAGI::Middleware::Support::URLs qw(escape_path);

my @TYPES = qw(X-Accel-Redirect X-Lighttpd-Send-File X-Sendfile);

sub _init {
    my ($self, $config) = @_;
    my $type = $config->{type} or die "XSendfile middleware requires 'type' parameter\n";
    die "Invalid XSendfile type '$type'. Must be one of: " . join(', ', @TYPES) . "\n"
        unless grep { $_ eq $type } @TYPES;
    $self->{type}      = $type;
    $self->{variation} = $config->{variation};
    my $mapping = $config->{mapping};
    if (ref $mapping eq 'HASH') {
        $self->{mapping} = [ map { [ $_, $mapping->{$_} ] }
                sort { length $b <=> length $a || $a cmp $b } keys %$mapping ];
    }
    else {
        $self->{prepend} = $mapping // '';
    }
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';

        my $held;
        my $done = $app->($scope, $receive, sub {
            my ($event) = @_;
            my $type = ref $event eq 'HASH' ? $event->{type} // '' : '';
            if (!$held) {
                return $send->($event) if $type ne 'http.response.start';
                $held = {%$event};
                return Future->done;
            }
            my $start = $held;
            undef $held;
            my $path = $type eq 'http.response.body' ? $self->_file_for_proxy($event) : undef;
            return in_turn($send, $start, $event) unless defined $path;
            return in_turn($send, $self->_delegated($start, $path),
                { type => 'http.response.body', body => '' });
        });
        return $done unless blessed $done && $done->isa('Future');
        if ($done->is_done) {
            return $held ? $send->($held) : $done;
        }
        return $done->then(sub { $held ? $send->($held) : Future->done });
    };
}

# A part of a file is beyond what these headers can say.
sub _file_for_proxy {
    my ($self, $event) = @_;
    return if defined $event->{offset} || defined $event->{length};
    my $path = $event->{file};
    if (!defined $path && blessed $event->{fh} && $event->{fh}->can('path')) {
        $path = $event->{fh}->path;
    }
    # HDR-10: such a name cannot travel in a header; the server sends the file itself.
    return if !defined $path || !length $path || $path =~ /[\x00-\x1f\x7f]/;
    return $self->_mapped("$path");
}

sub _mapped {
    my ($self, $path) = @_;
    return $self->{prepend} . $path unless $self->{mapping};
    for my $entry (@{ $self->{mapping} }) {
        my ($from, $to) = @$entry;
        return $to . substr $path, length $from if index($path, $from) == 0;
    }
    return $path;
}

sub _delegated {
    my ($self, $start, $path) = @_;
    # nginx reads a URI here, the others a file name.
    if ($self->{type} eq 'X-Accel-Redirect') { $path = escape_path($path) }
    elsif ($path =~ /[^\x00-\x7f]/ && utf8::is_utf8($path)) { utf8::encode($path) }
    # BODY-12: the length of the file would be a promise our empty body breaks; the
    # proxy measures the file itself.
    my @headers = @{ without_headers($start->{headers}, 'content-length') };
    push @headers, [ $self->{type}, $path ];
    push @headers, [ 'Vary', $self->{variation} ] if defined $self->{variation};
    return { %$start, headers => \@headers };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::XSendfile - let the front-end proxy send the files

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    # nginx:  location /protected/ { internal; alias /srv/files/; }
    my $app = builder {
        enable 'XSendfile',
            type    => 'X-Accel-Redirect',
            mapping => { '/srv/files/' => '/protected/' };
        enable 'Static', root => '/srv/files', handle_ranges => 0;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. A body event with C<file>, or with an C<fh> object whose C<path> method names a file,
becomes an empty body and a header that tells the proxy which file to send. A C<content-length> of the
application is removed: it belongs to the file, which the proxy measures itself. Everything else passes
unchanged: other bodies, plain file handles, events with C<offset> or C<length> (hence
C<< handle_ranges => 0 >> above: the proxy serves ranges), and file names with control characters.

Without such a proxy in front clients get empty files: enable this only where the proxy is.

=head1 OPTIONS

=over 4

=item type

Required: C<X-Accel-Redirect> (nginx; the value is percent-encoded), C<X-Sendfile> (Apache),
C<X-Lighttpd-Send-File>.

=item mapping

String: put before the file path. Hash reference: the longest matching beginning of the path is replaced by
its value; without a match the path stays.

=item variation

Value of an added C<Vary> header.

=back

=head1 ERRORS

C<XSendfile middleware requires 'type' parameter>, C<Invalid XSendfile type 'T'. Must be one of:
X-Accel-Redirect, X-Lighttpd-Send-File, X-Sendfile>.

=cut
