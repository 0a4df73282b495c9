package PAGI::Middleware::Session::Store::Cookie;

use strict;
use warnings;
use parent 'PAGI::Middleware::Session::Store';

use Crypt::AuthEnc::GCM qw(gcm_encrypt_authenticate gcm_decrypt_verify);
use Digest::SHA qw(sha256);
use Future;
use JSON::MaybeXS ();
use MIME::Base64 qw(encode_base64 decode_base64);
use PAGI::Utils::Random qw(secure_random_bytes);

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1);

my $IV_SIZE  = 12;    # NIST SP 800-38D: 96 bits, random per encryption
my $TAG_SIZE = 16;

sub new {
    my ($class, %options) = @_;
    die "Store::Cookie requires 'secret' option\n"
        unless defined $options{secret} && length $options{secret};
    my $self = $class->SUPER::new(max_size => 3800, %options);
    my $secret = delete $self->{secret};
    utf8::encode($secret) if $secret =~ /[^\x00-\xff]/;
    $self->{key} = sha256($secret);
    return $self;
}

sub set {
    my ($self, $id, $data) = @_;
    my $blob = eval {
        my $iv = secure_random_bytes($IV_SIZE);
        my ($ciphertext, $tag) =
            gcm_encrypt_authenticate('AES', $self->{key}, $iv, '', $JSON->encode($data));
        encode_base64($iv . $tag . $ciphertext, '');
    };
    return Future->fail("Store::Cookie cannot encrypt the session: $@", 'session') unless defined $blob;

    # A browser drops a cookie above 4096 bytes without a word, and the session with it.
    my $size = length $blob;
    return Future->fail("Session of $size bytes is too large for a cookie (limit $self->{max_size});"
        . " keep less in it or use a server-side store\n", 'session') if $size > $self->{max_size};
    return Future->done($blob);
}

sub get {
    my ($self, $blob) = @_;
    return Future->done(undef)
        unless defined $blob && $blob =~ m{\A[A-Za-z0-9+/]+={0,2}\z};
    my $bytes = decode_base64($blob);
    return Future->done(undef) if length $bytes <= $IV_SIZE + $TAG_SIZE;

    my $session = eval {
        my ($iv, $tag, $ciphertext) = unpack "a$IV_SIZE a$TAG_SIZE a*", $bytes;
        my $text = gcm_decrypt_verify('AES', $self->{key}, $iv, '', $ciphertext, $tag);
        defined $text ? $JSON->decode($text) : undef;
    };
    return Future->done(ref $session eq 'HASH' ? $session : undef);
}

sub delete { return Future->done(1) }

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session::Store::Cookie - the whole session, encrypted, in the client's cookie

=head1 SYNOPSIS

    use PAGI::Middleware::Session;
    use PAGI::Middleware::Session::Store::Cookie;

    my $session = PAGI::Middleware::Session->new(
        secret => 'a long random string',
        store  => PAGI::Middleware::Session::Store::Cookie->new(secret => 'another long random string'),
    );

=head1 DESCRIPTION

Nothing is kept on the server: any worker on any machine that knows the secret can read the session.
The cookie holds the session as JSON, encrypted and authenticated with AES-256-GCM (key: SHA-256 of the
secret; base64 of 12 bytes IV, 16 bytes tag, ciphertext). A client can neither read nor change it.

What it cannot do is forget: a client may keep an old cookie and send it again until it expires. After
C<destroy> or C<regenerate> an older copy of the cookie still works, until C<expire> seconds after it was
made. Where logging out must be final, use a store on the server.

Changing the secret ends all sessions.

Needs the module L<CryptX> (Debian package C<libcryptx-perl>).

=head1 OPTIONS

=over 4

=item secret

Required; dies C<Store::Cookie requires 'secret' option>.

=item max_size

Largest value in bytes, default 3800; browsers drop cookies above 4096 bytes including name and attributes.

=back

=head1 METHODS

=head2 set($id, $data)

Resolves to the encrypted value; fails with C<Session of N bytes is too large for a cookie ...>.

=head2 get($value)

Resolves to the session, or undef for anything that was not encrypted with this secret.

=head2 delete($id)

Resolves to 1 and does nothing; L<PAGI::Middleware::Session> clears the cookie.

=cut
