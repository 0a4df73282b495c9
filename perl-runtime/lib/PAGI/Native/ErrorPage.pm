package PAGI::Native::ErrorPage;
use strict;
use warnings;

our $VERSION = '0.001';

use Scalar::Util ();

# Lines shown on each side of the one that matters.
my $AROUND = 5;
# A source line may be a whole minified file.
my $LINE_LIMIT = 300;
my $FRAME_LIMIT = 40;

my %ENTITY = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;', q{'} => '&#39;');

# The last exceptions with the places they came through: when one arrives in a Future, its stack is long gone.
my $KEPT = 16;
# Seconds.
my $ON_ITS_WAY = 2;
my @raised;

# Development only. An application that wants the hook for itself gets it; then only the places that an exception names
# in its text are known.
sub remember_stacks {
    $SIG{__DIE__} ||= \&_remember;
    return;
}

sub _remember {
    my ($error) = @_;
    local ($@, $!);
    my $key = _key($error);
    # Thrown again on its way out, by an await or by hand: the first place is the one that explains it. Much later it is
    # another exception with the same text, the first of which was caught.
    return if grep { $_->{key} eq $key && time - $_->{at} <= $ON_ITS_WAY } @raised;
    # Middleware that adds a note throws another text, but it happened where the first did.
    my ($first) = grep { !ref $error && length $key > length $_->{key} && index($key, $_->{key}) == 0 } reverse @raised;
    return _keep($key, $first->{frames}) if $first;
    my @frames;
    for (my $depth = 0; @frames < $FRAME_LIMIT && (my @caller = caller $depth); $depth++) {
        my $within = (caller $depth + 1)[3];
        my $frame = { file => $caller[1], line => $caller[2], within => defined $within ? $within : '' };
        # An eval is a frame of its own in the same line.
        my $again = @frames && $frames[-1]{file} eq $frame->{file} && $frames[-1]{line} == $frame->{line};
        push @frames, $frame unless $again || !$frame->{line} || $caller[0] =~ /\A(?:Future|PAGI::Native)(?:::|\z)/;
    }
    return _keep($key, \@frames);
}

sub _keep {
    my ($key, $frames) = @_;
    @raised = grep { $_->{key} ne $key } @raised;
    push @raised, { key => $key, frames => $frames, at => time };
    shift @raised if @raised > $KEPT;
    return;
}

# An object is not kept alive for this: that would put off its destructor.
sub _key {
    my ($error) = @_;
    return ref $error ? 'object ' . Scalar::Util::refaddr($error) : 'text ' . (defined $error ? $error : '');
}

# The two events of a response that shows an exception: HTML if the client takes it, else text for a terminal.
sub events {
    my ($error, $heading, $accept, $request) = @_;
    my $text = _characters(_text($error));
    $text =~ s/\s+\z//;
    my @frames = _frames($error, $text);
    my $html = accepts_html($accept);
    my $page = $html
        ? _html($heading, $text, _characters($request), \@frames)
        : _plain($heading, $text, _characters($request), \@frames);
    utf8::encode($page);
    return [
        { type => 'http.response.start', status => 500, headers => [
            [ 'content-type', $html ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8' ],
            [ 'content-length', length $page ],
            [ 'cache-control', 'no-store' ],
            # Nothing of an exception's text may run, whatever is in it.
            [ 'content-security-policy', q{default-src 'none'; style-src 'unsafe-inline'} ],
        ] },
        { type => 'http.response.body', body => $page },
    ];
}

# RFC 9110 12.5.1, as far as it matters here: a browser that navigates names text/html, and programs do not.
sub accepts_html {
    my ($accept) = @_;
    for my $range (split /,/, $accept) {
        my ($type, @parameters) = map { s/\A\s+|\s+\z//gr } split /;/, lc $range;
        next unless defined $type && $type eq 'text/html';
        return !grep { /\Aq\s*=\s*0(?:\.0*)?\z/ } @parameters;
    }
    return 0;
}

sub _text {
    my ($error) = @_;
    my $text = eval { "$error" };
    return defined $text ? $text : 'an exception that cannot be shown';
}

sub _characters {
    my ($text) = @_;
    utf8::decode($text) unless utf8::is_utf8($text);
    return $text;
}

sub _frames {
    my ($error, $text) = @_;
    my $key = _key($error);
    my ($found) = grep { $_->{key} eq $key } @raised;
    @raised = grep { $_->{key} ne $key } @raised;
    my @frames = $found ? @{ $found->{frames} } : ();
    # What the text itself names: compile errors are found in other files than they are thrown from.
    my %known = map { ("$_->{file}\0$_->{line}" => 1) } @frames;
    my @named;
    while ($text =~ /\bat (\S[^\n]*?) line (\d+)/g) {
        my ($file, $line) = ($1, $2);
        utf8::encode($file);
        push @named, { file => $file, line => $line, within => '' } unless $known{"$file\0$line"}++;
    }
    @frames = (@named, @frames);
    return @frames > $FRAME_LIMIT ? @frames[0 .. $FRAME_LIMIT - 1] : @frames;
}

# [number, text, whether it is the one], around a line of a file; nothing for code that is in no file.
sub _excerpt {
    my ($frame) = @_;
    my ($file, $wanted) = @{$frame}{qw(file line)};
    return unless -f $file && open my $handle, '<:raw', $file;
    my @lines;
    while (my $line = <$handle>) {
        last if $. > $wanted + $AROUND;
        next if $. < $wanted - $AROUND;
        $line =~ s/[\r\n]+\z//;
        $line = _characters($line);
        $line = substr($line, 0, $LINE_LIMIT) . '...' if length $line > $LINE_LIMIT;
        push @lines, [ $., $line, $. == $wanted ];
    }
    close $handle;
    return @lines;
}

sub _place {
    my ($frame) = @_;
    my $place = _characters($frame->{file}) . " line $frame->{line}";
    my $within = _characters($frame->{within});
    return $within eq '' || $within eq '(eval)' ? $place : "$place, in $within";
}

sub _plain {
    my ($heading, $text, $request, $frames) = @_;
    my $page = "$heading\n$request\n\n$text\n";
    for my $frame (@$frames) {
        $page .= "\n" . _place($frame) . "\n";
        $page .= sprintf "%s %5d  %s\n", $_->[2] ? '>' : ' ', @{$_}[0, 1] for _excerpt($frame);
    }
    # A terminal must not be told anything by what somebody has sent.
    $page =~ s/([^\t\n\x20-\x7e\xa0-\x{10ffff}])/sprintf '\x{%02x}', ord $1/ge;
    return $page;
}

sub _html {
    my ($heading, $text, $request, $frames) = @_;
    my ($title, $what, $which) = map { _escape($_) } $heading, $text, $request;
    my $page = <<"HTML";
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>$title</title>
<style>
body { font: 1em/1.5 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
pre { font: 0.9em/1.45 ui-monospace, monospace; overflow-x: auto; background: #f4f4f4; padding: 0.7em }
pre.error { background: #fdecea; border-left: 4px solid #c62828; white-space: pre-wrap }
h2 { font-size: 1em; margin: 1.5em 0 0.3em }
mark { background: #ffe082; display: inline-block; min-width: 100% }
</style></head>
<body>
<h1>$title</h1>
<p>$which</p>
<pre class="error">$what</pre>
HTML
    for my $frame (@$frames) {
        $page .= '<h2>' . _escape(_place($frame)) . "</h2>\n";
        my @lines = map {
            my $line = sprintf '%5d  %s', $_->[0], _escape($_->[1]);
            $_->[2] ? "<mark>$line</mark>" : $line;
        } _excerpt($frame);
        $page .= "<pre>" . join("\n", @lines) . "</pre>\n" if @lines;
    }
    return $page . "<p>This page is shown in development mode only.</p>\n</body>\n</html>\n";
}

sub _escape {
    my ($text) = @_;
    $text =~ s/([&<>"'])/$ENTITY{$1}/g;
    return $text;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::ErrorPage - what development mode answers when an application has failed

=head1 SYNOPSIS

    PAGI::Native::ErrorPage::remember_stacks();
    eval { die "no such table\n" };
    my $events = PAGI::Native::ErrorPage::events($@, 'The application has failed', 'text/html', 'GET /');
    $send->($_) for @$events;

=head1 DESCRIPTION

In development mode the server answers an C<http> request whose application has failed before it began a response with
the exception, its stack, and the source around each line of it. Never in any other mode: the page shows code.

=head2 remember_stacks

Notes the stack of each exception in C<$SIG{__DIE__}>, unless there is a handler already. Of an exception raised while there was none,
the page shows the places that its text names.

=head2 events

Takes an exception, a heading, the value of the request's C<Accept> field (bytes) and a line that names the request. Returns an array of two
events: a response with status 500, as C<text/html> if the client accepts that and as C<text/plain> if not; UTF-8.

=head2 accepts_html

Whether a value of C<Accept> names C<text/html>.

=cut
