package PAGI::Middleware::Debug;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future;
use Scalar::Util qw(blessed);
use Time::HiRes qw(time);
use PAGI::Middleware::Support::Headers qw(response_header without_headers);
use PAGI::Middleware::Support::Reply qw(in_turn);

sub _init {
    my ($self, $config) = @_;
    $self->{enabled} = $config->{enabled} ? 1 : 0;
    $self->{$_} = $config->{$_} // 1 for qw(show_headers show_scope show_timing);
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return $app unless $self->{enabled};
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';

        my $started = time;
        my ($start, $body);    # set while an HTML response is being collected
        my $flush = sub {
            my ($more) = @_;
            my $held = $start;
            undef $start;
            return [ $held, length $body ? { type => 'http.response.body', body => $body, more => $more } : () ];
        };
        my $done = $app->($scope, $receive, sub {
            my ($event) = @_;
            my $type = ref $event eq 'HASH' ? $event->{type} // '' : '';
            if (!$start) {
                return $send->($event) unless $type eq 'http.response.start' && _takes_panel($event);
                ($start, $body) = ({%$event}, '');
                return Future->done;
            }
            # A file the server reads itself, or an event in between: hand over what
            # was collected and step aside.
            return in_turn($send, @{ $flush->(1) }, $event)
                if $type ne 'http.response.body' || defined $event->{file} || defined $event->{fh};

            $body .= $event->{body} // '';
            return Future->done if $event->{more};
            my $html = _with_panel($body, $self->_panel($scope, $start, time - $started));
            my $sized = _sized($start, $html);
            undef $start;
            return in_turn($send, $sized, { type => 'http.response.body', body => $html, more => 0 });
        });
        return $done unless blessed $done && $done->isa('Future');
        if ($done->is_done) {
            return $start ? in_turn($send, @{ $flush->(1) }) : $done;
        }
        return $done->then(sub { $start ? in_turn($send, @{ $flush->(1) }) : Future->done });
    };
}

sub _takes_panel {
    my ($start) = @_;
    return (response_header($start, 'content-type') // '') =~ m{text/html}i
        && !defined response_header($start, 'content-encoding')
        && !$start->{trailers};
}

sub _with_panel {
    my ($html, $panel) = @_;
    return $html if $html =~ s{(?=</body>)}{$panel}i;
    return $html . $panel;
}

sub _sized {
    my ($start, $html) = @_;
    return $start unless defined response_header($start, 'content-length');
    my $headers = without_headers($start->{headers}, 'content-length');
    return { %$start, headers => [ @$headers, [ 'content-length', length $html ] ] };
}

sub _panel {
    my ($self, $scope, $start, $elapsed) = @_;
    my @sections;
    push @sections, _section('Timing',
        [ 'Total Time', sprintf '%.2f ms', $elapsed * 1000 ], [ 'Status', $start->{status} ])
        if $self->{show_timing};
    push @sections, _section('Request',
        [ Method => $scope->{method} ],
        [ Path   => $scope->{path} ],
        [ Query  => $scope->{query_string} ],
        [ Scheme => $scope->{scheme} ])
        if $self->{show_scope};
    push @sections,
        _section('Request Headers',  @{ $scope->{headers} || [] }),
        _section('Response Headers', @{ $start->{headers} || [] })
        if $self->{show_headers};

    return join '', qq{<div id="pagi-debug-panel" style="clear:both;margin:1em;padding:1em;},
        qq{border:1px solid #999;background:#f6f6f6;color:#222;font:12px/1.4 monospace">},
        qq{<h2>PAGI Debug Panel</h2>}, @sections, '</div>';
}

sub _section {
    my ($title, @rows) = @_;
    return join '', "<h3>$title</h3><table>",
        (map { '<tr><th>' . _escape($_->[0]) . '</th><td>' . _escape($_->[1]) . '</td></tr>' } @rows),
        '</table>';
}

my %ENTITY = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');

# Characters beyond ASCII as numbers: the page may be in any charset.
sub _escape {
    my ($text) = @_;
    return '' unless defined $text;
    $text =~ s/([&<>"])/$ENTITY{$1}/g;
    $text =~ s/([^\x09\x0a\x0d\x20-\x7e])/sprintf '&#%d;', ord $1/ge;
    utf8::downgrade($text);
    return $text;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Debug - a debug panel in HTML pages, for development

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'Debug', enabled => ($ENV{PAGI_ENV} // '') eq 'development';
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. HTML responses are collected, streamed ones too, and get a panel with timing,
request and headers before C<< </body> >> (or at the end); a C<content-length> is corrected. Other
responses pass unchanged, and so do HTML pages sent as C<file> or C<fh>, with a C<content-encoding> or with
trailers. All values are HTML-escaped.

The panel shows cookies and authorization headers: never enable it in production.

=head1 OPTIONS

=over 4

=item enabled

Default 0.

=item show_timing, show_scope, show_headers

Default 1 each.

=back

=cut
