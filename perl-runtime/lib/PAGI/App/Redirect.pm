package PAGI::App::Redirect;

use strict;
use warnings;

use Future;
use PAGI::App::Support::Answer qw(answer);

sub new {
    my ($class, %args) = @_;
    return bless {
        to             => $args{to},
        status         => $args{status} // 302,
        preserve_query => $args{preserve_query} // 1,
    }, $class;
}

sub to_app {
    my ($self) = @_;
    my ($to, $status, $preserve_query) = @$self{qw(to status preserve_query)};
    return sub {
        my ($scope, $receive, $send) = @_;
        return Future->done if ($scope->{type} // 'http') eq 'lifespan';
        my $target = ref $to ? $to->($scope) : $to;
        return Future->fail("PAGI::App::Redirect has no target: give it 'to', a string or a coderef that returns one\n")
            unless defined $target;
        utf8::encode($target) if $target =~ /[^\x00-\xff]/;    # header values are bytes

        my $query = $scope->{query_string} // '';
        $target .= ($target =~ /\?/ ? '&' : '?') . $query if $preserve_query && length $query;
        return answer($scope, $send, $status,
            [['content-type', 'text/plain'], ['location', $target], ['content-length', 0]], '');
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Redirect - send the client elsewhere

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Redirect;

    my $fixed = PAGI::App::Redirect->new(to => 'https://example.org/new', status => 301)->to_app;
    my $https = PAGI::App::Redirect->new(to => sub { my ($scope) = @_; return "https://example.org$scope->{raw_path}" })->to_app;

=head1 DESCRIPTION

Answers every HTTP, WebSocket and SSE scope in its own event family; a lifespan scope returns at once.

=head1 METHODS

=head2 new

=over

=item to

The value of C<location>, or a coderef called with the scope that returns it: bytes, already percent-encoded. Requests fail
when it is undef.

=item status

Default 302.

=item preserve_query

Append the query string of the request with C<?>, or C<&> if the target has one already. Default 1.

=back

=head2 to_app

The app.

=cut
