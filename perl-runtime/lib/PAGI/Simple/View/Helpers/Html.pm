package PAGI::Simple::View::Helpers::Html;

use strict;
use warnings;

use PAGI::Simple::View::Helpers qw(escape safe);

sub functions {
    return {
        checked_if  => sub { _bool(checked  => $_[0]) },
        disabled_if => sub { _bool(disabled => $_[0]) },
        selected_if => sub { _bool(selected => $_[0]) },
        readonly_if => sub { _bool(readonly => $_[0]) },
        required_if => sub { _bool(required => $_[0]) },
        bool_attr   => \&_bool,
        class_if    => sub { my ($class, $condition) = @_; $condition ? $class : '' },
        active_class => sub {
            my ($current, $check, $class) = @_;
            return '' unless defined $current && defined $check && $current eq $check;
            return defined $class ? $class : 'selected';
        },
        classes => sub { join ' ', grep { defined && length } map { ref $_ eq 'ARRAY' ? ($_->[1] ? $_->[0] : ()) : $_ } @_ },
    };
}

sub _bool {
    my ($name, $condition) = @_;
    return safe($condition ? escape($name) : '');
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::View::Helpers::Html - template helpers for attributes

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::View::Helpers::Html;

    my $helpers = PAGI::Simple::View::Helpers::Html->functions;
    print $helpers->{classes}->('todo', [ done => 1 ], [ late => 0 ]), "\n";    # todo done

=head1 DESCRIPTION

    <input type="checkbox" [% checked_if(todo.done) %]>
    <li class="[% classes('todo', ['done', todo.done]) %]">

C<checked_if>, C<disabled_if>, C<selected_if>, C<readonly_if>, C<required_if> and C<bool_attr($name, $condition)> give the attribute or nothing.
C<class_if($class, $condition)>, C<active_class($current, $check, $class = 'selected')> and C<classes(@strings_or_pairs)> give class names.

=head1 METHODS

=head2 functions

Hashref of the helpers.

=cut
