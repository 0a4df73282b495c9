# Answers with what PAGI::Request made of the request, one kind per path.
use strict;
use warnings;
use Digest::SHA ();
use Future::AsyncAwait;
use PAGI::Request;
use PAGI::Response;

my %show = (
    '/properties' => async sub {
        my ($request) = @_;
        return {
            method => $request->method, path => $request->path, raw_path => $request->raw_path, query => $request->query_param('q'),
            agent => $request->header('x-agent'), cookies => $request->cookies, type => $request->content_type,
            wants => $request->preferred_type('html', 'json'), connected => $request->is_connected,
        };
    },
    '/text' => async sub { my ($request) = @_; return { text => await $request->text } },
    '/json' => async sub { my ($request) = @_; return { json => await $request->json } },
    '/form' => async sub {
        my ($request) = @_;
        my $form = await $request->form_params(spool_threshold => 1000);
        my $uploads = await $request->uploads;
        return {
            form  => [ $form->flatten ],
            files => [ map { [ $_->field_name, $_->filename, $_->content_type, $_->size, $_->is_on_disk, Digest::SHA::sha256_hex($_->slurp) ] } $uploads->values ],
        };
    },
    '/stream' => async sub {
        my ($request) = @_;
        my $digest = Digest::SHA->new(256);
        my $total = await $request->body_stream->stream_to(sub { $digest->add($_[0]) });
        return { total => $total, digest => $digest->hexdigest };
    },
    '/parts' => async sub {
        my ($request) = @_;
        my $stream = $request->multipart_stream;
        my @parts;
        while (my $part = await $stream->next) {
            my $digest = Digest::SHA->new(256);
            my $total = await $part->stream_to(sub { $digest->add($_[0]) });
            push @parts, [ $part->name, $part->filename, $part->type, $total, $digest->hexdigest ];
        }
        return { parts => \@parts };
    },
);

my $app = async sub {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}" unless $scope->{type} eq 'http';
    my $request = PAGI::Request->new($scope, $receive);
    my $show = $show{ $request->path } || $show{'/properties'};

    my $data;
    my $ok = eval { $data = await $show->($request); 1 };
    my $response = $ok ? PAGI::Response->json($data) : PAGI::Response->text("$@", status => 400);
    await $response->respond($send);
};
$app;
