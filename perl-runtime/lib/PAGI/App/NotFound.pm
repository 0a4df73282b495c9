package PAGI::App::NotFound;

use strict;
use warnings;

use Future;
use PAGI::App::Support::Answer qw(answer);

sub new {
    my ($class, %args) = @_;
    return bless {
        body         => $args{body} // 'Not Found',
        content_type => $args{content_type} // 'text/plain',
        status       => $args{status} // 404,
    }, $class;
}

sub to_app {
    my ($class) = @_;
    my ($body, $content_type, $status) = @{ ref $class ? $class : $class->new }{qw(body content_type status)};
    return sub {
        my ($scope, $receive, $send) = @_;
        return Future->done if ($scope->{type} // 'http') eq 'lifespan';
        return Future->fail("Status must be between 100 and 599, got '$status'\n") unless $status =~ /\A[1-5][0-9][0-9]\z/;
        my $bytes = ref $body ? $body->($scope) : $body;
        return answer($scope, $send, $status,
            [['content-type', $content_type], ['content-length', length $bytes]], $bytes);
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::NotFound - a 404 of your own

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::NotFound;

    my $app = PAGI::App::NotFound->new(
        content_type => 'text/html',
        body         => sub { my ($scope) = @_; return '<h1>Nothing here</h1>' },
    )->to_app;

=head1 DESCRIPTION

Answers every HTTP, WebSocket and SSE scope in its own event family; a lifespan scope returns at once.

=head1 METHODS

=head2 new

=over

=item body

Bytes, or a coderef called with the scope that returns bytes. Default C<Not Found>.

=item content_type

Default C<text/plain>.

=item status

Default 404. With a status outside 100 to 599 requests fail.

=back

=head2 to_app

The app. Works on the class too.

=cut
