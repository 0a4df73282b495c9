package PAGI::App::Loader;

use strict;
use warnings;

use File::Spec;
use Future;
use PAGI::App::Support::Answer qw(answer);
use PAGI::Utils ();

sub new {
    my ($class, %args) = @_;
    my $file = $args{file};
    return bless {
        # do FILE would look for a relative name in @INC
        file   => defined $file ? File::Spec->rel2abs("$file") : undef,
        reload => $args{reload} ? 1 : 0,
        _app   => undef,
        _mtime => undef,
    }, $class;
}

sub to_app {
    my ($self) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        my $app = $self->_current;
        return $app->($scope, $receive, $send) if $app;
        return Future->fail("App failed to load\n") if ($scope->{type} // 'http') eq 'lifespan';
        return answer($scope, $send, 500, [['content-type', 'text/plain']], 'App failed to load');
    };
}

sub _current {
    my ($self) = @_;
    return $self->{_app} if $self->{_app} && !$self->{reload};
    my $mtime = defined $self->{file} ? (stat $self->{file})[9] : undef;
    return $self->{_app} if $self->{_app} && defined $mtime && $mtime == $self->{_mtime};
    $self->{_mtime} = $mtime;
    return $self->{_app} = $self->_load;
}

sub _load {
    my ($self) = @_;
    my $file = $self->{file} // '(no file)';
    my ($value, $error) = _evaluate($file);
    if (defined $error) {
        warn "Error loading $file: $error\n";
        return undef;
    }
    my $app = ref $value ? eval { PAGI::Utils::to_app($value) } : undef;
    warn "$file did not return a coderef\n" unless ref $app;
    return $app;
}

sub _evaluate {
    my ($file) = @_;
    local ($@, $!);
    return (undef, "$!") unless -r $file && !-d _;
    my $value = do $file;
    if (length $@) {
        chomp(my $error = "$@");
        return (undef, $error);
    }
    return ($value, undef);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Loader - an app from a file

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Loader;
    use PAGI::App::URLMap;

    my $app = PAGI::App::URLMap->new
        ->mount('/blog' => PAGI::App::Loader->new(file => 'blog/app.pl', reload => 1))
        ->to_app;

=head1 DESCRIPTION

The file is evaluated at the first request, as by C<do FILE>; its last value is the app, a coderef or an object with C<to_app>. All scopes
are passed to it.

When it cannot be loaded, C<Error loading FILE: ERROR> or C<FILE did not return a coderef> is warned, the request is answered 500
C<App failed to load>, and the next request tries again.

=head1 METHODS

=head2 new

=over

=item file

A relative name is looked up in the directory that is current now.

=item reload

True: load again, before the next request, when the modification time of the file has changed. Modules it uses are not
reloaded. Default 0.

=back

=head2 to_app

The app.

=cut
