package PAGI::Simple::ErrorPage;

use strict;
use warnings;

use Future::AsyncAwait;
use PAGI::Simple::Callback;
use Scalar::Util qw(blessed);

my %TEXT = (
    400 => 'Bad Request',            401 => 'Unauthorized',      403 => 'Forbidden',
    404 => 'Not Found',              405 => 'Method Not Allowed', 406 => 'Not Acceptable',
    409 => 'Conflict',               410 => 'Gone',              413 => 'Content Too Large',
    422 => 'Unprocessable Entity',   429 => 'Too Many Requests', 500 => 'Internal Server Error',
    501 => 'Not Implemented',        502 => 'Bad Gateway',       503 => 'Service Unavailable',
    504 => 'Gateway Timeout',
);

sub text_of { return $TEXT{ $_[1] } || "Error $_[1]" }

# An exception becomes a status: that of an abort or of an exception object that has one, else 500.
async sub for_exception {
    my ($class, $c, $error) = @_;
    if (blessed $error && $error->isa('PAGI::Simple::Abort')) {
        return await $class->send($c, $error->code, $error->message, 1);
    }
    my $status = blessed $error && $error->can('status') ? eval { $error->status } : undef;
    $status = 500 unless defined $status && $status =~ /\A[45][0-9][0-9]\z/;
    if ($status >= 500 || $c->{started}) {
        my $text = "$error";
        $text .= "\n" unless $text =~ /\n\z/;
        warn "PAGI application error: $text";
    }
    return await $class->send($c, $status, $error, $status < 500);
}

async sub send {
    my ($class, $c, $code, $error, $public) = @_;
    return if $c->{started};
    my $app = $c->{app};
    # what the failed handler had prepared describes another body
    delete $c->{type};
    @{ $c->{headers} } = grep { lc $_->[0] !~ /\A(?:content-(?:length|encoding|disposition|range)|etag|last-modified)\z/ } @{ $c->{headers} };
    $c->{status} = $code;

    if (my $handler = $app->get_error_handler($code)) {
        my @args = defined $error ? ($c, $error) : ($c);
        my $fit = PAGI::Simple::Callback::arity($handler, scalar @args);
        my $ok = eval {
            my $result = $handler->(@args[0 .. $fit - 1]);
            await $result if PAGI::Simple::Callback::is_future($result);
            1;
        };
        return if $ok && $c->{started};
        warn "PAGI application error in the handler for $code: " . ($ok ? "it sent no response\n" : "$@");
        return if $c->{started};
        ($code, $error) = (500, undef) unless $ok;
    }
    my $text = $class->text_of($code);
    $text .= ": $error" if defined $error && ($public || $app->{development});
    chomp $text;
    delete $c->{type};
    $c->{status} = $code;
    my $sent = $c->text($text);
    await $sent;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::ErrorPage - the answer to a request that failed

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->error(404 => sub { my ($c) = @_; $c->json({ error => 'not found', path => $c->path }) });
    $app->error(500 => sub { my ($c, $error) = @_; $c->html('<h1>Sorry</h1>') });

=head1 DESCRIPTION

Runs the application's error handler for the status, which is preset, or answers with a line of text. The text of an exception reaches
the client only with the option C<development>; that of an abort, or of an exception object with a status below 500, always does.

=head1 METHODS

Class methods; the first two return a Future.

=head2 for_exception

    await PAGI::Simple::ErrorPage->for_exception($c, $error);

Status 500 and a line on STDERR, C<PAGI application error: ...>, unless the exception is an abort or has a C<status> of its own.

=head2 send

    await PAGI::Simple::ErrorPage->send($c, 404, $message, $is_for_the_client);

Nothing if a response has started.

=head2 text_of

    my $text = PAGI::Simple::ErrorPage->text_of(404);    # Not Found

=cut
