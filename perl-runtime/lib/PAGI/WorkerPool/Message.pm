package PAGI::WorkerPool::Message;

use strict;
use warnings;

our $VERSION = '0.001';

use Exporter qw(import);
use Scalar::Util qw(blessed refaddr reftype);
use Storable ();

use PAGI::WorkerPool::Error;

our @EXPORT_OK = qw(decode encode encode_failure);

# CH-12: what may travel is decided here and not by the serialiser, so it is the same wherever a job runs.
sub encode {
    my ($data, $limit) = @_;
    _check($data, '', {}, 0);
    return _freeze($data, $limit);
}

sub decode { my ($bytes) = @_; return Storable::thaw($bytes) }

# WP-11: an exception object whose contents are data arrives as what it was; any other as its text.
sub encode_failure {
    my ($error, $limit, $trace) = @_;
    my $bytes = eval { _check($error, '', {}, 1); _freeze([ 0, $error, $trace ], $limit) };
    return $bytes if defined $bytes;
    my $text = blessed $error ? ref($error) . ": $error" : "$error";
    $text .= "\n" if ref $error && $text !~ /\n\z/;
    $text = substr($text, 0, 65_536) . "... (cut)\n" if length $text > 65_536;
    return Storable::freeze([ 0, $text, $trace ]);
}

sub _freeze {
    my ($data, $limit) = @_;
    my $bytes = eval { Storable::freeze($data) };
    PAGI::WorkerPool::Error->throw(NotSerializable => _line("the data cannot be sent: $@")) unless defined $bytes;
    my $size = length $bytes;
    PAGI::WorkerPool::Error->throw(MessageTooLarge => "$size bytes are more than max_size allows ($limit)", limit => $limit)
        if $size > $limit;
    return $bytes;
}

my %PLAIN = map { $_ => 1 } qw(JSON::PP::Boolean Cpanel::JSON::XS::Boolean);

sub _check {
    my ($value, $path, $open, $any_class) = @_;
    if (!ref $value) {
        _refuse($path, 'a glob') if ref \$value eq 'GLOB';
        return;
    }
    my $class = blessed $value;
    if (defined $class) {
        return if $PLAIN{$class} || $value->can('STORABLE_freeze');
        _refuse($path, "an object of class $class, which has no STORABLE_freeze") unless $any_class;
    }
    my $type = reftype $value;
    my $address = refaddr $value;
    _refuse($path, 'a reference to what holds it') if $open->{$address};
    local $open->{$address} = 1;
    no warnings 'recursion';
    if ($type eq 'HASH') {
        _refuse($path, 'a tied hash') if tied %$value;
        _check($value->{$_}, "$path\{$_}", $open, $any_class) for keys %$value;
    }
    elsif ($type eq 'ARRAY') {
        _refuse($path, 'a tied array') if tied @$value;
        _check($value->[$_], "$path\[$_]", $open, $any_class) for 0 .. $#$value;
    }
    elsif ($class && $type eq 'SCALAR') {
        _check($$value, $path, $open, $any_class);
    }
    else {
        _refuse($path, 'a reference of type ' . $type);
    }
    return;
}

sub _refuse {
    my ($path, $what) = @_;
    PAGI::WorkerPool::Error->throw(NotSerializable => ($path eq '' ? 'it' : $path) . " is $what; only plain data can be sent");
}

sub _line { my ($text) = @_; $text =~ s/\s+\z//; return $text }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::WorkerPool::Message - what travels between a worker and the pool

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::WorkerPool::Message qw(encode decode);

    my $bytes = encode([ { name => 'Ada', tags => [ 1, undef ] } ], 16 * 1024 * 1024);
    print decode($bytes)->[0]{name}, "\n";
    print $@ unless eval { encode([ sub { } ], 1024); 1 };

=head1 DESCRIPTION

Plain data: undef, strings of characters or of bytes, numbers, booleans (of JSON modules and of Perl), arrays and hashes of these. Objects whose class has
C<STORABLE_freeze> (see L<Storable>) travel too. Everything else is refused: code, globs and handles, regular expressions, references to scalars,
tied variables, other objects, and structures that hold themselves.

=head1 FUNCTIONS

=head2 encode

    my $bytes = encode($data, $limit);

Bytes for a reference. Dies with a L<PAGI::WorkerPool::Error>: C<NotSerializable>, which names the place, or C<MessageTooLarge>.

=head2 decode

    my $data = decode($bytes);

An independent copy. Only for bytes from processes of the same server: L<Storable> trusts them.

=head2 encode_failure

    my $bytes = encode_failure($exception, $limit, $trace);

C<[0, $exception, $trace]>. An exception object of any class travels if its contents are plain data. Another becomes its text, after its class.

=cut
