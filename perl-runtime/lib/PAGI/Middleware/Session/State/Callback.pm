package PAGI::Middleware::Session::State::Callback;

use strict;
use warnings;
use parent 'PAGI::Middleware::Session::State';

sub new {
    my ($class, %options) = @_;
    die "extract is required for $class\n" unless $options{extract};
    for my $name (qw(extract inject clear)) {
        die "$name must be a CODE ref for $class\n"
            if defined $options{$name} && ref $options{$name} ne 'CODE';
    }
    return $class->SUPER::new(%options);
}

sub extract { my ($self, @args) = @_; return scalar $self->{extract}->(@args) }
sub inject  { my ($self, @args) = @_; $self->{inject}->(@args) if $self->{inject}; return }
sub clear   { my ($self, @args) = @_; $self->{clear}->(@args)  if $self->{clear};  return }

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session::State::Callback - session id by your own functions

=head1 SYNOPSIS

    use PAGI::Middleware::Session;
    use PAGI::Middleware::Session::State::Callback;

    my $session = PAGI::Middleware::Session->new(
        secret => 'a long random string',
        state  => PAGI::Middleware::Session::State::Callback->new(
            extract => sub { my ($scope) = @_; return ($scope->{query_string} =~ /sid=(\w+)/)[0] },
            inject  => sub { my ($headers, $id, $options) = @_; push @$headers, [ 'x-sid', $id ] },
            clear   => sub { my ($headers) = @_; push @$headers, [ 'x-sid', '' ] },
        ),
    );

=head1 OPTIONS

C<extract> (required), C<inject> and C<clear> (default: nothing), coderefs called with the very
references described in L<PAGI::Middleware::Session::State>.

=head1 ERRORS

C<extract is required for CLASS>, C<extract must be a CODE ref for CLASS>.

=cut
