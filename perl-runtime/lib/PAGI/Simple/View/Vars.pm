package PAGI::Simple::View::Vars;

use strict;
use warnings;

use Carp qw(croak);

our $AUTOLOAD;

sub new {
    my ($class, $vars) = @_;
    croak 'Template variables must be a hashref' unless ref $vars eq 'HASH';
    return bless {%$vars}, $class;
}

sub has  { return exists $_[0]{ $_[1] } ? 1 : 0 }
sub keys { return sort { $a cmp $b } CORE::keys %{ $_[0] } }

sub can {
    my ($self, $name) = @_;
    return $self->SUPER::can($name) || (ref $self && exists $self->{$name} ? sub { $_[0]{$name} } : undef);
}

sub AUTOLOAD {
    my ($self) = @_;
    (my $name = $AUTOLOAD) =~ s/.*:://;
    return if $name eq 'DESTROY';
    croak "Unknown template variable '$name'. Available: " . (join(', ', $self->keys) || 'none') unless exists $self->{$name};
    return $self->{$name};
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::View::Vars - the variables of a template, strictly

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::View::Vars;

    my $v = PAGI::Simple::View::Vars->new({ title => 'Todos' });
    print $v->title, ' ', $v->has('user'), "\n";    # Todos 0

=head1 DESCRIPTION

C<v> in a template. C<< $v->name >> dies with C<Unknown template variable 'NAME'. Available: ...>, C<< $v->{name} >> does not.

=head1 METHODS

=head2 new

From a hashref; croaks for anything else.

=head2 has, keys, can

=cut
