use strict;
use warnings;
use Future::AsyncAwait;
use PAGI::Request;
use PAGI::Response;

# What t/request/multipart-server.t sends uploads to. Files are spooled into $ENV{UPLOADS_TEMP}.

async sub answer {
    my ($request) = @_;
    my $path = $request->path;
    my %limits = (max_file_size => 2 * 1024 ** 3);
    %limits = (max_file_size => 200_000, max_field_size => 1000, max_files => 3, max_fields => 3) if $path =~ /small/;
    if ($path =~ /stream/) {
        my $stream = $request->multipart_stream(%limits, $path =~ /small/ ? (max_request_body => 500_000) : (max_request_body => 2 * 1024 ** 3));
        my @parts;
        while (my $part = await $stream->next) {
            my $file = "$ENV{UPLOADS_TEMP}/streamed-" . @parts;
            my $size;
            if ($path =~ /file/) { $size = await $part->stream_to_file($file); unlink $file }
            else                 { $size = await $part->stream_to(sub { return }) }
            push @parts, { name => $part->name, size => $size };
        }
        return PAGI::Response->json(\@parts);
    }
    my $form    = await $request->form_params(%limits, temp_dir => $ENV{UPLOADS_TEMP});
    my $uploads = await $request->uploads;
    my @files   = map { { name => $_->field_name, filename => $_->filename, size => $_->size, on_disk => $_->is_on_disk ? 1 : 0 } }
        map { $uploads->get_all($_) } $uploads->keys;
    return PAGI::Response->json({ form => $form->as_hashref, files => \@files });
}

async sub app {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    my $response = eval { await answer(PAGI::Request->new($scope, $receive)) };
    my $error = $@;
    $response ||= PAGI::Response->json({ error => $error }, status => 400);
    await $response->respond($send);
}

\&app;
