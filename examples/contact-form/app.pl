use v5.36;
use Encode qw(decode encode);
use Future::AsyncAwait;

# An HTML form without any framework: a page, a POST, validation, and a redirect that makes reloading harmless. For the
# same with the toolkit, and with uploads, see toolkit/contact-form.

my $limit = 16 * 1024;

sub escape ($text) {
    state %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
    return $text =~ s/([&<>"])/$entity{$1}/gr;
}

sub fields ($content) {
    my %value;
    for my $pair (split /&/, $content) {
        my ($key, $value) = map { tr/+/ /r =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger } split(/=/, $pair, 2), '';
        $value{$key} = decode('UTF-8', $value);
    }
    return %value;
}

sub problems (%value) {
    my @problems;
    push @problems, 'Please tell us your name.'        if ($value{name} // '') !~ /\S/;
    push @problems, 'Please give an address with an @.' if ($value{email} // '') !~ /\S@\S/;
    push @problems, 'Please write something.'          if ($value{message} // '') !~ /\S/;
    return @problems;
}

sub form ($problems, %value) {
    my $list = join '', map { '<li>' . escape($_) . '</li>' } @$problems;
    my ($name, $email, $message) = map { escape($value{$_} // '') } qw(name email message);
    return <<~"HTML";
        <!doctype html>
        <meta charset="utf-8">
        <title>Contact</title>
        <ul>$list</ul>
        <form method="post" action="/">
          <input name="name" placeholder="Name" value="$name">
          <input name="email" placeholder="Email" value="$email">
          <textarea name="message">$message</textarea>
          <button>Send</button>
        </form>
        HTML
}

async sub respond ($send, $status, $text, @headers) {
    my $body = encode('UTF-8', $text);
    await $send->({
        type    => 'http.response.start',
        status  => $status,
        headers => [ [ 'content-type', 'text/html; charset=utf-8' ], [ 'content-length', length $body ], @headers ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

# The whole body, undef when it is too long, or nothing to answer when the client has left.
async sub content ($receive) {
    my $content = '';
    while (1) {
        my $event = await $receive->();
        return (0, undef) if $event->{type} eq 'http.disconnect';
        $content .= $event->{body};
        return (1, undef) if length $content > $limit;
        return (1, $content) if !$event->{more};
    }
}

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';

    my ($method, $path) = $scope->@{qw(method path)};
    if ($path eq '/thanks') {
        return await respond($send, 200, "<!doctype html><title>Thanks</title><p>Thank you!</p>\n");
    }
    if ($path ne '/') {
        return await respond($send, 404, "<!doctype html><title>Not found</title><p>Nothing here.</p>\n");
    }
    if ($method eq 'GET' || $method eq 'HEAD') {
        return await respond($send, 200, form([]));
    }
    if ($method ne 'POST') {
        return await respond($send, 405, "<!doctype html><title>No</title>\n", [ 'allow', 'GET, HEAD, POST' ]);
    }

    my ($connected, $content) = await content($receive);
    return if !$connected;
    if (!defined $content) {
        return await respond($send, 413, "<!doctype html><title>Too long</title><p>That is too long.</p>\n");
    }
    my %value = fields($content);
    my @problems = problems(%value);
    if (@problems) {
        return await respond($send, 422, form(\@problems, %value));
    }
    warn encode('UTF-8', "message from $value{name} <$value{email}>\n");
    await respond($send, 303, '', [ 'location', '/thanks' ]);
}
