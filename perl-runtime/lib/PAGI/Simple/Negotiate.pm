package PAGI::Simple::Negotiate;

use strict;
use warnings;

use parent 'PAGI::Request::Negotiate';

use Carp qw(croak);
use PAGI::Simple::Callback;

our @CARP_NOT = qw(PAGI::Simple::Context::Response);

my %SHORTCUT = map { $_ => __PACKAGE__->normalize_type($_) }
    qw(html text txt json xml atom rss css js png jpg jpeg gif svg pdf zip form);

sub get_shortcuts { return {%SHORTCUT} }

sub quality_for_type {
    my ($class, $header, $type) = @_;
    my ($quality) = $class->_deciding(lc $class->normalize_type($type), $class->parse_accept($header));
    return $quality;
}

# The formats come as a list, so that of equally welcome ones the first declared is sent.
sub respond {
    my ($class, $c, @formats) = @_;
    croak 'respond_to takes pairs of a format and a coderef or hashref' if @formats % 2;
    my (@order, %answer);
    while (my ($format, $answer) = splice @formats, 0, 2) {
        push @order, $format if $format ne 'any' && !exists $answer{$format};
        $answer{$format} = $answer;
    }
    my $chosen = $c->req->preferred_type(@order);
    $chosen = 'any' if !defined $chosen && exists $answer{any};
    return $c->text('Not Acceptable', 406) unless defined $chosen;

    my $answer = $answer{$chosen};
    if (ref $answer eq 'CODE') {
        my $result = $answer->($c);
        return $c->_keep($result) if PAGI::Simple::Callback::is_future($result);
        return $result;
    }
    croak "respond_to needs a coderef or hashref for '$chosen'" unless ref $answer eq 'HASH';
    return _from_hash($c, $class->normalize_type($chosen), $answer);
}

sub _from_hash {
    my ($c, $type, $answer) = @_;
    my @status = defined $answer->{status} ? $answer->{status} : ();
    for my $kind (qw(json html text)) {
        return $c->$kind($answer->{$kind}, @status) if exists $answer->{$kind};
    }
    croak 'respond_to needs one of json, html, text or data' unless exists $answer->{data};
    my $data = $answer->{data};
    return $c->json($data, @status) if ref $data || $type =~ /json/;
    return $c->html($data, @status) if $type eq 'text/html';
    $c->content_type($type) unless defined $c->{type};
    return $c->text($data, @status);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Negotiate - answers in the format the client wants

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->get('/user' => sub {
        my ($c) = @_;
        $c->respond_to(
            html => sub { $c->html('<h1>Ann</h1>') },
            json => { json => { name => 'Ann' } },
            any  => { text => 'Ann', status => 200 },
        );
    });

=head1 DESCRIPTION

Class methods around the Accept header; C<parse_accept>, C<best_match>, C<type_matches>, C<normalize_type> and C<accepts_type> are those of
L<PAGI::Request::Negotiate>. Types may be short names such as C<json>.

=head1 METHODS

=head2 respond

What C<< $c->respond_to >> does: the format the client likes best, and of equals the one declared first; else C<any>; else a 406. A coderef is
called with the context. A hashref holds one of C<json>, C<html>, C<text> or C<data> and an optional C<status>. Returns the Future of the response.

=head2 quality_for_type

    my $q = PAGI::Simple::Negotiate->quality_for_type($accept_header, 'json');

From 0 to 1.

=head2 get_shortcuts

Hashref of the short names.

=cut
