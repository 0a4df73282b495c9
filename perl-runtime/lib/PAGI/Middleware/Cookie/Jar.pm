package PAGI::Middleware::Cookie::Jar;

use strict;
use warnings;

use Cookie::Baker ();

sub new {
    my ($class, %defaults) = @_;
    return bless { defaults => \%defaults, queue => [] }, $class;
}

sub set {
    my ($self, $name, $value, %options) = @_;
    my %all = (path => '/', %{ $self->{defaults} }, %options);
    my %cookie = (value => $value // '');
    for my $key (qw(path domain expires secure httponly samesite)) {
        $cookie{$key} = $all{$key} if defined $all{$key};
    }
    $cookie{'max-age'} = $all{max_age} if defined $all{max_age};
    push @{ $self->{queue} }, Cookie::Baker::bake_cookie($name, \%cookie);
    return $self;
}

sub delete {
    my ($self, $name, %options) = @_;
    my %place = map { $_ => $options{$_} } grep { defined $options{$_} } qw(path domain);
    return $self->set($name, '', %place, expires => 0);
}

sub headers {
    my ($self) = @_;
    return map { [ 'Set-Cookie', $_ ] } @{ $self->{queue} };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Cookie::Jar - cookies queued for the response

=head1 SYNOPSIS

    use PAGI::Middleware::Cookie::Jar;

    my $jar = PAGI::Middleware::Cookie::Jar->new;
    $jar->set(theme => 'dark', max_age => 86400, httponly => 1, samesite => 'Lax');
    $jar->delete('old');
    print "$_->[0]: $_->[1]\n" for $jar->headers;

=head1 METHODS

=head2 new(%defaults)

Attributes for all cookies. Normally made by L<PAGI::Middleware::Cookie>.

=head2 set($name, $value, %options)

Queues a cookie; returns the jar. The value is bytes and is percent-encoded. Options: C<path> (default
C</>), C<domain>, C<expires> (epoch seconds, or C<+1h> and the like), C<max_age> (seconds), C<secure>,
C<httponly>, C<samesite>.

=head2 delete($name, path => ..., domain => ...)

Queues an empty cookie that expired in 1970. Path and domain must be those it was set with.

=head2 headers

The list of C<[name, value]> pairs.

=cut
