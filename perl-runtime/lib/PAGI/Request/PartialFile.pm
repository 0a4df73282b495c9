package PAGI::Request::PartialFile;

use strict;
use warnings;

sub new {
    my ($class, $path) = @_;
    return bless { path => $path, owner => $$ }, $class;
}

sub keep {
    my ($self) = @_;
    delete $self->{path};
    return;
}

sub DESTROY {
    my ($self) = @_;
    local ($@, $!);
    # a forked child has a copy of this object, not another file
    unlink $self->{path} if defined $self->{path} && $self->{owner} == $$;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::PartialFile - remove a file unless it was finished

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Request::PartialFile;

    my $path = "/tmp/partial-$$";
    {
        my $guard = PAGI::Request::PartialFile->new($path);
        open my $fh, '>', $path or die "Cannot create $path: $!";
        # ... an exception here, or a Future that is cancelled ...
    }
    print -e $path ? "still there\n" : "removed\n";    # removed

=head1 DESCRIPTION

A guard: the file goes with the object, however the code that holds it ends. Used by L<PAGI::Request::Part>.

=head1 METHODS

=head2 new

    my $guard = PAGI::Request::PartialFile->new($path);

=head2 keep

    $guard->keep;

The file is complete and stays.

=cut
