package PAGI::Simple::View::Helpers::Htmx;

use strict;
use warnings;

use JSON::MaybeXS ();
use PAGI::Simple::View::Helpers qw(attributes escape safe);

my $JSON = JSON::MaybeXS->new(canonical => 1, allow_nonref => 1, convert_blessed => 1);

my @OPTIONS = qw(target swap trigger confirm push_url select vals headers indicator disabled_elt);

sub functions {
    my %functions = (
        htmx     => sub { _script(htmx     => 'htmx.min.js') },
        htmx_ws  => sub { _script(htmx_ws  => 'ext/ws.js') },
        htmx_sse => sub { _script(htmx_sse => 'ext/sse.js') },
        hx_sse   => sub { my ($url, @args) = @_; _extension('sse', $url, PAGI::Simple::View::Helpers::options(@args)) },
        hx_ws    => sub { my ($url, @args) = @_; _extension('ws',  $url, PAGI::Simple::View::Helpers::options(@args)) },
    );
    for my $verb (qw(get post put patch delete)) {
        $functions{"hx_$verb"} = sub { my ($url, @args) = @_; _request($verb, $url, PAGI::Simple::View::Helpers::options(@args)) };
    }
    return \%functions;
}

sub _script {
    my ($name, $file) = @_;
    my $current = PAGI::Simple::View->current_render_context;
    my $app = $current && $current->app;
    die "$name() requires \$app->share('htmx') in the application\n" unless $app && $app->has_shared('htmx');
    my $root = $current->context ? $current->context->mount_path : '';
    return safe('<script ' . attributes(src => "$root/static/htmx/$file") . '></script>');
}

# Every value is escaped, the URL too (defect 33).
sub _request {
    my ($verb, $url, %options) = @_;
    my @pairs = ("hx-$verb" => $url);
    for my $option (@OPTIONS) {
        my $value = delete $options{$option};
        next unless defined $value;
        $value = $JSON->encode($value) if ref $value eq 'HASH' || ref $value eq 'ARRAY';
        $value = 'true' if $option eq 'push_url' && $value eq '1';
        push @pairs, 'hx-' . ($option =~ tr/_/-/r) => $value;
    }
    die "Unknown options to hx_$verb: " . join(', ', sort keys %options) . "\n" if %options;
    return _attributes(@pairs);
}

sub _extension {
    my ($name, $url, %options) = @_;
    my @pairs = ('hx-ext' => $name, "$name-connect" => defined $options{connect} ? $options{connect} : $url);
    push @pairs, 'sse-swap' => $options{swap} if $name eq 'sse' && defined $options{swap};
    my $html = _attributes(@pairs);
    return $name eq 'ws' && $options{send} ? safe("$html ws-send") : $html;
}

# JSON is easier to read between single quotes.
sub _attributes {
    my (@pairs) = @_;
    my @html;
    while (my ($name, $value) = splice @pairs, 0, 2) {
        if ($name =~ /\Ahx-(?:vals|headers)\z/) {
            $value = "$value";
            $value =~ s/([&<>'])/'&#' . ord($1) . ';'/ge;
            push @html, "$name='$value'";
        }
        else {
            push @html, attributes($name, $value);
        }
    }
    return safe(join ' ', @html);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::View::Helpers::Htmx - template helpers for htmx

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::View::Helpers::Htmx;

    my $helpers = PAGI::Simple::View::Helpers::Htmx->functions;
    print $helpers->{hx_post}->('/todos', target => '#list'), "\n";    # hx-post="/todos" hx-target="#list"

=head1 DESCRIPTION

    [% htmx() %]
    <button [% hx_delete(route('todo', id => todo.id), target => 'closest li', confirm => 'Really?') %]>Delete</button>

C<htmx>, C<htmx_ws> and C<htmx_sse> are script elements; they die with C<NAME() requires $app-E<gt>share('htmx') ...> unless that was called.
C<hx_get>, C<hx_post>, C<hx_put>, C<hx_patch> and C<hx_delete> take a URL and C<target swap trigger confirm push_url select vals headers indicator
disabled_elt>; C<vals> and C<headers> are hashes, sent as JSON. C<hx_sse($url, swap =E<gt> 'event')> and C<hx_ws($url, send =E<gt> 1)> connect an element
(C<connect> replaces the URL). All values are escaped.

=head1 METHODS

=head2 functions

Hashref of the helpers.

=cut
