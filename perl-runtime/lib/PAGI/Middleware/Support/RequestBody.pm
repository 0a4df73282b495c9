package PAGI::Middleware::Support::RequestBody;

use strict;
use warnings;

use Exporter qw(import);
use Future;
use Future::AsyncAwait;
use PAGI::Middleware::Support::Headers qw(request_header);

our @EXPORT_OK = qw(read_body after_body);

async sub read_body {
    my ($scope, $receive, $max_size) = @_;

    my $declared = request_header($scope, 'content-length');
    return { too_large => 1 } if defined $declared && $declared =~ /\A\d+\z/ && $declared > $max_size;

    my $body = '';
    while (1) {
        my $event = await $receive->();
        my $type = $event->{type};
        last unless defined $type;
        return { disconnected => 1 } if $type eq 'http.disconnect';
        next if $type ne 'http.request';
        $body .= $event->{body} // '';
        return { too_large => 1 } if length $body > $max_size;
        last unless $event->{more};
    }
    return { body => $body };
}

sub after_body {
    my ($receive) = @_;
    my $told;
    return sub {
        return $receive->() if $told++;
        return Future->done({ type => 'http.request', body => '', more => 0 });
    };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::RequestBody - read a request body within a limit

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::Middleware::Support::RequestBody qw(read_body after_body);

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        my $got = await read_body($scope, $receive, 65536);
        print length $got->{body} if defined $got->{body};
    };

=head1 FUNCTIONS

=head2 read_body($scope, $receive, $max_size)

Future of a hash reference with one key: C<body> (bytes), C<too_large> (more than
C<$max_size> bytes were announced by C<content-length> or arrived; reading stopped
there), or C<disconnected> (the client went away before the body was complete).

=head2 after_body($receive)

A receive coderef for the application behind: first one empty final
C<http.request>, then whatever the server says, so that a disconnect is still seen.

=cut
