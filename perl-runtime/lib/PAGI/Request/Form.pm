package PAGI::Request::Form;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use Hash::MultiValue;
use PAGI::Request::Query;

async sub params {
    my ($class, $request, $mode, %limits) = @_;
    my $scope = $request->scope;
    my $key = length $mode ? "pagi.request.form.$mode" : 'pagi.request.form';
    return $scope->{$key} if $scope->{$key};

    if ($request->is_multipart) {
        await $class->_parse_multipart($request, %limits);
        return $scope->{$key} if $mode eq 'raw';
        my @flat = map { PAGI::Request::Query::decode($_, $mode) } $scope->{'pagi.request.form.raw'}->flatten;
        return $scope->{$key} = Hash::MultiValue->new(@flat);
    }
    my $body = await $request->body;
    return $scope->{$key} = PAGI::Request::Query::parse(defined $body ? $body : '', $mode);
}

async sub uploads {
    my ($class, $request, %limits) = @_;
    return Hash::MultiValue->new unless $request->is_multipart;
    await $class->_parse_multipart($request, %limits);
    return $request->scope->{'pagi.request.uploads'};
}

# Fills pagi.request.form.raw and pagi.request.uploads, once per scope.
async sub _parse_multipart {
    my ($class, $request, %limits) = @_;
    my $scope = $request->scope;
    return if $scope->{'pagi.request.uploads'};

    croak 'Body streaming already started; buffered helpers unavailable'
        if $scope->{'pagi.request.body.stream.created'};
    my $boundary = $request->_multipart_boundary;
    die "No boundary found in Content-Type\n" unless defined $boundary;

    require PAGI::Request::MultiPartHandler;
    my $handler = PAGI::Request::MultiPartHandler->new(
        boundary => $boundary,
        receive  => _receive($request),
        $request->_limits(%limits),
    );
    # set first: whatever happens, the body is no longer there to be read again
    $scope->{'pagi.request.body.read'} = 1;
    my ($form, $uploads) = await $handler->parse;

    # the form keeps its bytes for raw_form_params; names of uploads have no raw form and become characters here
    my @decoded;
    $uploads->each(sub {
        my ($name, $upload) = @_;
        $_ = PAGI::Request::Query::decode($_, '') for @$upload{qw(field_name filename)};
        push @decoded, $upload->{field_name}, $upload;
    });
    $scope->{'pagi.request.form.raw'} = $form;
    $scope->{'pagi.request.uploads'}  = Hash::MultiValue->new(@decoded);
    return;
}

# A body that was buffered before is parsed from the buffer.
sub _receive {
    my ($request) = @_;
    my $scope = $request->scope;
    my $body = $scope->{'pagi.request.body'};
    return $request->{receive} unless $scope->{'pagi.request.body.read'} && defined $body;
    return sub { Future->done({ type => 'http.request', body => $body, more => 0 }) };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::Form - forms and uploads of a request

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::Request;
    use PAGI::Request::Form;

    my $receive = sub { Future->done({ type => 'http.request', body => 'a=1&a=2', more => 0 }) };
    my $request = PAGI::Request->new({ type => 'http', headers => [] }, $receive);

    my $form = PAGI::Request::Form->params($request, '')->get;
    print join(',', $form->get_all('a')), "\n";    # 1,2

=head1 DESCRIPTION

What C<form_params> and C<uploads> of L<PAGI::Request> do: multipart bodies are parsed once with
L<PAGI::Request::MultiPartHandler>, any other body as urlencoded, and the results are cached in the scope (C<pagi.request.form>,
C<pagi.request.form.strict>, C<pagi.request.form.raw>, C<pagi.request.uploads>). A body that was read with C<body> before is
parsed from that buffer.

=head1 METHODS

Class methods that return a L<Future>.

=head2 params

    my $form = await PAGI::Request::Form->params($request, $mode, %limits);

A L<Hash::MultiValue>; the mode is one of L<PAGI::Request::Query>, the limits are those of L<PAGI::Request::MultiPartHandler>.

=head2 uploads

    my $uploads = await PAGI::Request::Form->uploads($request, %limits);

A L<Hash::MultiValue> of L<PAGI::Request::Upload>, empty unless the request is multipart. Field and file names are characters.

=cut
