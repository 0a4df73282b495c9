package PAGI::Native::Loader;
use strict;
use warnings;

our $VERSION = '0.001';

use File::Spec ();
use Scalar::Util ();

# Directories of code that nobody here is working on, and those of the application's files.
my (@system, @homes);

# Takes a list of option => value pairs, with include, module, argument and mount repeatable, and returns the application's
# code reference. Every failure is an exception whose text is what the operator reads (reference-server 4.5, RUN-7).
sub load {
    local $PAGI::Native::LOADING = 1;
    my %option = (include => [], module => [], argument => [], mount => []);
    while (my ($name, $value) = splice @_, 0, 2) {
        if ($name eq 'mount') { push @{$option{mount}}, { place => $value, argument => [] } }
        elsif ($name eq 'mount_argument') { push @{$option{mount}[-1]{argument}}, $value }
        elsif (ref $option{$name}) { push @{$option{$name}}, $value }
        else { $option{$name} = $value }
    }
    my %own = map { ($_ => 1) } split /:/, $ENV{PERL5LIB} // '';
    @system = grep { !ref && !$own{$_} } @INC;
    unshift @INC, @{$option{include}};
    $ENV{PAGI_ENV} = $option{mode};
    if ($option{shows_errors}) {
        require PAGI::Native::ErrorPage;
        PAGI::Native::ErrorPage::remember_stacks();
    }
    _load_module_option($_) for @{$option{module}};
    my $app = _one_application(\%option);
    $app = _mounted($app, \%option) if @{$option{mount}};
    # Some framework may have put a layer on it that buffers: what waits there would come late, and once from each worker.
    select((select(STDERR), $| = 1)[0]);
    $app = PAGI::WorkerPool::Lifespan::wrap($app) if $INC{'PAGI/WorkerPool.pm'} && require PAGI::WorkerPool::Lifespan;
    return _wrap($app, \%option);
}

# Whether an application is a plain, blocking request and response: with a pool its requests go there unseen.
sub is_blocking {
    my ($code) = @_;
    return Scalar::Util::blessed($code) && $code->isa('PAGI::Blocking') ? 1 : 0;
}

# Where the application's code is, for whoever watches it: a line for each directory, with "d" before it, and file, with "f".
sub sources {
    my @known = map { File::Spec->rel2abs($_) } @system;
    my $is_own = sub {
        my ($path) = @_;
        return $path !~ /\n/ && !grep { $path eq $_ || index($path, "$_/") == 0 } @known;
    };
    my @directories = map { File::Spec->rel2abs($_) } @homes, grep { !ref } @INC;
    my @files = map { File::Spec->rel2abs($_) } grep { defined && !ref && -f } values %INC;
    return join "\n", (map { "d$_" } grep { $is_own->($_) && -d } @directories), map { "f$_" } grep { $is_own->($_) } @files;
}

# "FILE line N" of the code, for messages about an application that gives no place of its own.
sub describe {
    my ($code) = @_;
    require B;
    my $start = B::svref_2object($code)->START;
    return 'the application' unless $start->isa('B::COP');
    return sprintf '%s line %d', $start->file, $start->line;
}

sub _one_application {
    my ($option) = @_;
    my $app = _application($option);
    return _is_psgi($app, $option) ? _psgi($app, $option) : $app;
}

# The place of each mount is "HOST\tPATH\tAPP"; the host is empty for any.
sub _mounted {
    my ($default, $option) = @_;
    require PAGI::Native::Mounts;
    my @mounts;
    for my $mount (@{$option->{mount}}) {
        my ($host, $path, $name) = split /\t/, $mount->{place}, 3;
        utf8::decode($path);
        my $app = eval { _one_application({ %$option, kind => 'named', source => $name, argument => $mount->{argument} }) };
        die "Mount $path: $@" if !defined $app;
        push @mounts, { path => $path, app => $app, length $host ? (host => $host) : () };
    }
    return PAGI::Native::Mounts::app($default, @mounts);
}

sub _application {
    my ($option) = @_;
    return _from_code($option->{source}) if $option->{kind} eq 'code';
    # Nobody who names applications for some paths wants to publish the current directory under all others.
    return _from_module('PAGI::App::NotFound', []) if $option->{kind} eq 'default' && @{$option->{mount}};
    return _from_module('PAGI::App::Directory', ['root=.']) if $option->{kind} eq 'default';
    my $name = $option->{source};
    my $is_file = $name !~ /::/ && ($name =~ m{/} || $name =~ /\.(?:pl|psgi)\z/i || -e $name);
    return $is_file ? _from_file($name) : _from_module($name, $option->{argument});
}

sub _from_code {
    my ($code) = @_;
    my ($app, $error) = _evaluate($code);
    die "Error evaluating -e code: $error" if ref $error || $error ne '';
    return _code_of($app, '-e code must return a coderef, got ', 'main');
}

# The code sees nothing of this package but @_.
sub _evaluate {
    my $app = eval qq{package main; no strict; no warnings;\n#line 1 "-e"\n$_[0]};
    return ($app, $@);
}

sub _from_file {
    my ($name) = @_;
    my $file = File::Spec->rel2abs($name);
    push @homes, $file =~ s{/[^/]*\z}{}r;
    die "App file not found: $file\n" unless -e $file;
    die "Error loading $file: it is a directory\n" if -d _;
    die "Error loading $file: it cannot be read\n" unless -r _;
    my $app = _run_file($file);
    return _code_of($app, 'App file must return a coderef, got: ', 'main');
}

# While the file runs, $0 and @ARGV are the file's, and FindBin points at its directory.
sub _run_file {
    my ($file) = @_;
    local $0 = $file;
    local @ARGV = ($file);
    # A Mojolicious script then returns its application from `app->start`, as it does for hypnotoad.
    local $ENV{MOJO_APP_LOADER} = 1;
    local $ENV{MOJO_MODE} = $ENV{MOJO_MODE} || $ENV{PLACK_ENV} || $ENV{PAGI_ENV};
    FindBin::again() if $INC{'FindBin.pm'} && FindBin->can('again');
    my ($app, $error, $problem);
    {
        package main;
        local ($@, $!);
        $app = do $file;
        ($error, $problem) = ($@, $!);
    }
    die "Error loading $file: $error" if ref $error || $error ne '';
    die "Error loading $file: $problem\n" if !defined $app && !defined &main::app && $problem;
    return $app;
}

sub _from_module {
    my ($name, $arguments) = @_;
    die "Invalid module name: $name\n" unless $name =~ /\A[A-Za-z_]\w*(?:::\w+)*\z/;
    (my $path = "$name.pm") =~ s{::}{/}g;
    _require($path) or die "Cannot find module '$name': $@";
    die "Module '$name' does not have new() and to_app() methods\n"
        unless $name->can('new') && $name->can('to_app');
    my %arguments = map { split /=/, $_, 2 } @$arguments;
    my $object = eval { $name->new(%arguments, _caller_file => $INC{$path}) };
    die "Cannot construct '$name': $@" if !defined $object;
    return _provided($object, "Module '$name'");
}

# Compiled as if from the main program: a module may declare things before its first `package`.
sub _require {
    package main;
    return eval { require $_[0]; 1 };
}

# RUN-2: to_app is called exactly once, on an object.
sub _provided {
    my ($object, $what) = @_;
    my $app = eval { $object->to_app };
    die "$what: to_app failed: $@" if $@;
    return $app if _is_code($app);
    die "$what: to_app must return a coderef, got " . _show($app) . "\n";
}

sub _code_of {
    my ($app, $message, $package) = @_;
    # RUN-3: a code reference is used directly, even a blessed one with a to_app method.
    return $app if _is_code($app);
    if (Scalar::Util::blessed($app) && $app->isa('Mojolicious')) {
        require PAGI::App::Mojolicious;
        $app = PAGI::App::Mojolicious->new(app => $app);
    }
    return _provided($app, 'The application object') if Scalar::Util::blessed($app) && $app->can('to_app');
    # A file that only declares `async sub app {...}`, as the public introduction to PAGI prints its examples.
    no strict 'refs';
    return \&{"${package}::app"} if defined &{"${package}::app"};
    die $message . _show($app) . "\n";
}

sub _is_code { return ref $_[0] && Scalar::Util::reftype($_[0]) eq 'CODE' }

sub _show {
    my ($value) = @_;
    return 'undef' unless defined $value;
    return ref $value || "'$value'";
}

sub _load_module_option {
    my ($spec) = @_;
    my ($name, $imports) = split /=/, $spec, 2;
    die "Cannot load module $name: not a module name\n" unless $name =~ /\A[A-Za-z_]\w*(?:::\w+)*\z/;
    (my $path = "$name.pm") =~ s{::}{/}g;
    my @imports = defined $imports ? split(/,/, $imports) : ();
    _require($path) && eval { package main; $name->import(@imports); 1 } or die "Cannot load module $name: $@";
    return;
}

# `starman app.psgi` users change one word: a file of that name which mentions neither an async sub nor a PAGI module is
# what its name says.
sub _is_psgi {
    my ($app, $option) = @_;
    return 0 unless $option->{kind} eq 'named' && $option->{source} =~ /\.psgi\z/i;
    open my $file, '<:raw', $option->{source} or return 0;
    local $/;
    my $text = <$file>;
    $text =~ s/^__(?:END|DATA)__$.*//ms;
    $text =~ s/^\s*#.*$//mg;
    return $text !~ /\basync\s+sub\b|\bPAGI::/;
}

# With a pool the whole application belongs there; without one it runs in the worker, one request at a time.
sub _psgi {
    my ($psgi, $option) = @_;
    require PAGI::App::WrapPSGI;
    my $wrapped = PAGI::App::WrapPSGI->new(psgi_app => $psgi)->to_app;
    my $app = sub {
        my ($scope) = @_;
        return &$wrapped if $scope->{type} ne 'sse';
        require PAGI::App::Support::Plain;
        return $wrapped->(PAGI::App::Support::Plain::plain_http(@_));
    };
    print STDERR "$option->{source} is a PSGI application: without --pool it blocks its worker while it computes\n"
        unless $option->{quiet} || $option->{pool};
    return $option->{pool} ? bless sub { goto &$app }, 'PAGI::Blocking' : $app;
}

# Development mode checks the application's events with Lint when the toolkit has it.
sub _wrap {
    my ($app, $option) = @_;
    return $app unless $option->{mode} eq 'development' && $option->{default_middleware};
    if (!eval { require PAGI::Middleware::Lint; 1 }) {
        print STDERR "PAGI::Middleware::Lint is not installed: development mode runs without it\n"
            unless $option->{quiet};
        return $app;
    }
    print STDERR "Development mode: PAGI::Middleware::Lint is on (--no-default-middleware turns it off)\n"
        unless $option->{quiet};
    return PAGI::Middleware::Lint->new(strict => 1)->wrap($app);
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::Loader - from a command line to an application

=head1 SYNOPSIS

    my $app = PAGI::Native::Loader::load(
        kind   => 'named',
        source => 'app.pl',
        mode   => 'production',
    );

=head1 DESCRIPTION

Finds, loads and checks the application that C<pagi-server> was started with.

=head2 load

Takes option and value pairs: C<kind> (C<code>, C<named> or C<default>), C<source> (code, file or module name), C<mode>
(exported as C<PAGI_ENV>), C<shows_errors> (clients will be shown exceptions: keep their stacks), C<quiet>, C<default_middleware>, and any number of C<include> (directories put first in
C<@INC>), C<module> (C<Module> or C<Module=a,b>, loaded and imported first), C<argument> (C<key=value>, for a module's
constructor) and C<mount> (host, empty for any, path and application's name with tabs between them), each followed by any number
of C<mount_argument> (C<key=value>, for the constructor of that mount's module). Returns a code reference, or dies with the text to show.

A name with C<::> is a module; one with C</> or ending in C<.pl> or C<.psgi> is a file; anything else is a file if there
is one, and a module otherwise. A file's last value is the application: a code reference, or an object with C<to_app>. If
it is neither and the file has declared C<sub app>, that is the application.

A file C<*.psgi> that mentions neither C<async sub> nor C<PAGI::> is taken for what its name says (L<PAGI::App::WrapPSGI>), and the
application object of a Mojolicious script, which C<app-E<gt>start> returns here, for itself (L<PAGI::App::Mojolicious>).

=head2 sources

Directories (lines that begin with C<d>) and loaded files (C<f>) of the application, without those of the system and of the server.

=head2 describe

File and line where a code reference begins.

=cut
