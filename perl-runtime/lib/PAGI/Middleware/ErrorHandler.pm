package PAGI::Middleware::ErrorHandler;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use Scalar::Util qw(blessed);
use PAGI::Middleware::Support::Reply qw(reply);

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1);

my %REASON = (
    400 => 'Bad Request',           401 => 'Unauthorized',        403 => 'Forbidden',
    404 => 'Not Found',             405 => 'Method Not Allowed',  408 => 'Request Timeout',
    413 => 'Payload Too Large',     429 => 'Too Many Requests',   500 => 'Internal Server Error',
    502 => 'Bad Gateway',           503 => 'Service Unavailable', 504 => 'Gateway Timeout',
);

my %ENTITY = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');

sub _init {
    my ($self, $config) = @_;
    $self->{development}  = $config->{development} ? 1 : 0;
    $self->{on_error}     = $config->{on_error};
    $self->{content_type} = $config->{content_type} // 'text/html';
    $self->{status}       = $config->{status} // 500;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';
        return $self->_handled($app, $scope, $receive, $send);
    };
}

sub _handled {
    my ($self, $app, $scope, $receive, $send) = @_;
    my $started = 0;
    my $done = eval {
        $app->($scope, $receive, sub {
            my ($event) = @_;
            my $sent = $send->($event);
            return $sent unless ref $event eq 'HASH' && ($event->{type} // '') eq 'http.response.start';
            # SEND-10: a start the server refused has not begun a response.
            $started = 1;
            return $sent->is_done ? $sent : $sent->on_fail(sub { $started = 0 });
        });
    } // Future->fail($@ || 'Unknown error');
    return $done if blessed $done && $done->isa('Future') && $done->is_done;
    return $self->_settled($done, \$started, $scope, $send);
}

async sub _settled {
    my ($self, $done, $started, $scope, $send) = @_;
    return if eval { await $done; 1 };
    my $error = $@;
    $error = 'Unknown error' unless ref $error || (defined $error && length $error);

    await $self->_tell($error);
    if ($$started) {
        warn "Error occurred after response started: $error\n";
        return;
    }
    my $status = $self->_status($error);
    my ($type, $body) = $self->_page($status, $error);
    await reply($scope, $send, $status,
        [ [ 'content-type', $type ], [ 'content-length', length $body ] ], $body);
    return;
}

async sub _tell {
    my ($self, $error) = @_;
    return unless $self->{on_error};
    eval {
        my $told = $self->{on_error}->($error);
        await $told if blessed $told && $told->isa('Future');
        1;
    };
    return;
}

sub _status {
    my ($self, $error) = @_;
    return $self->{status} unless blessed $error && $error->can('status_code');
    my $status = eval { $error->status_code };
    # HTTP-12: an interim or made-up code would fail the send, and there would be no page.
    return defined $status && $status =~ /\A[2-5]\d\d\z/a ? $status : $self->{status};
}

sub _page {
    my ($self, $status, $error) = @_;
    my $detail = $self->{development} ? "$error" : undef;
    my $message = $detail // $REASON{$status} // 'Error';

    if ($self->{content_type} eq 'application/json') {
        return ('application/json', $JSON->encode({
            error  => $message,
            status => $status + 0,
            (defined $detail ? (stack => $detail) : ()),
        }));
    }
    my ($type, $text) = $self->{content_type} eq 'text/plain'
        ? ('text/plain; charset=utf-8', "Error $status: $message")
        : ('text/html; charset=utf-8', _html($status, $message, $detail));
    utf8::encode($text);
    return ($type, $text);
}

sub _html {
    my ($status, $message, $detail) = @_;
    my $trace = defined $detail ? "<h2>Stack Trace</h2>\n<pre>" . _escape($detail) . "</pre>\n" : '';
    return <<"HTML";
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Error $status</title></head>
<body>
<h1>Error $status</h1>
<p>@{[ _escape($message) ]}</p>
$trace</body>
</html>
HTML
}

sub _escape {
    my ($text) = @_;
    $text =~ s/([&<>"])/$ENTITY{$1}/g;
    return $text;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::ErrorHandler - turn exceptions into error pages

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'ErrorHandler',
            development => ($ENV{PAGI_ENV} // '') eq 'development',
            on_error    => sub { my ($error) = @_; warn "request failed: $error\n" };
        sub { die "boom\n" };
    };

=head1 DESCRIPTION

Acts on C<http> scopes; failures of other scopes go on to the server. Enable C<AccessLog>, C<RequestId> and
C<Runtime> outside.

If a response had started, nothing can be repaired: C<Error occurred after response started: E> is warned and
the server cuts the response off. Otherwise an error page is sent.

=head1 OPTIONS

=over 4

=item development

True: the page shows the error text. Default 0: it shows the reason phrase only (C<Internal Server Error>).

=item on_error

Coderef, called first, with the error. Its own failures are ignored. A Future it returns is waited for.

=item content_type

C<text/html> (default and for unknown values), C<application/json> (keys C<error>, C<status>, in development
C<stack>) or C<text/plain> (C<Error 500: MESSAGE>).

=item status

Default 500. An error object with a method C<status_code> (200 to 599) sets its own.

=back

=cut
