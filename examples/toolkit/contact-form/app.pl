use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use File::Path qw(make_path);
use Future::AsyncAwait;
use PAGI::Context;

# A form with an attachment: validation, limits, and files that are kept only when everything is right.

my $here    = dirname(Cwd::abs_path(__FILE__));
my $uploads = $ENV{CONTACT_FORM_UPLOADS} || "$here/uploads";
my $max     = 5 * 1024 * 1024;

my %extension = (
    'application/pdf' => 'pdf',
    'image/jpeg'      => 'jpg',
    'image/png'       => 'png',
    'image/gif'       => 'gif',
    'text/plain'      => 'txt',
);

sub problems {
    my ($form, $attachment) = @_;
    my %value = map { my $v = $form->get($_); $_ => defined $v ? $v =~ s/\A\s+|\s+\z//gr : '' } qw(name email message);

    my @problems;
    push @problems, 'Name is required' unless length $value{name};
    push @problems, !length $value{email} ? 'Email is required' : $value{email} =~ /@/ ? () : 'Invalid email format';
    push @problems, 'Message is required' unless length $value{message};
    push @problems, 'File type not allowed: ' . $attachment->content_type
        if $attachment && !$extension{ $attachment->content_type };
    return @problems;
}

# The name is ours: nothing the client sent becomes part of a path.
sub keep {
    my ($attachment) = @_;
    my $name = sprintf '%d-%06d.%s', time, int rand 1_000_000, $extension{ $attachment->content_type };
    $attachment->move_to("$uploads/$name");
    return $name;
}

async sub submit {
    my ($ctx) = @_;
    my ($form, $attachment);
    my $parsed = eval {
        $form = await $ctx->req->form_params(max_file_size => $max);
        $attachment = await $ctx->req->upload('attachment');
        1;
    };
    if (!$parsed) {
        my $error = $@ =~ /\AFile upload too large/ ? 'File too large (max 5MB)' : 'The form could not be read';
        return $ctx->json({ success => 0, errors => [$error] }, status => 400);
    }
    # a browser sends an empty part when no file was chosen
    undef $attachment if $attachment && $attachment->is_empty;

    my @problems = problems($form, $attachment);
    return $ctx->json({ success => 0, errors => \@problems }, status => 400) if @problems;

    my ($name, $email, $message) = map { $form->get($_) } qw(name email message);
    my $subject = $form->get('subject');
    my $subscribe = $form->get('subscribe');
    return $ctx->json({
        success => 1,
        message => "Thank you, $name! We have received your message.",
        data    => {
            name       => $name,
            email      => $email,
            subject    => defined $subject && length $subject ? $subject : 'general',
            message    => substr($message, 0, 100),
            subscribe  => defined $subscribe && $subscribe eq 'yes' ? 1 : 0,
            attachment => $attachment ? keep($attachment) : undef,
        },
    });
}

async sub http {
    my ($ctx) = @_;
    my ($method, $path) = ($ctx->method, $ctx->path);
    if ($path eq '/submit') {
        return await submit($ctx) if $method eq 'POST';
        return $ctx->text("Method Not Allowed\n", status => 405, headers => [ allow => 'POST' ]);
    }
    return $ctx->response->send_file("$here/public/index.html", content_type => 'text/html; charset=utf-8') if $path eq '/';
    return $ctx->text("Not Found\n", status => 404);
}

# The lifespan protocol by hand: two events, each answered.
async sub lifespan {
    my ($receive, $send) = @_;
    while (1) {
        my $event = await $receive->();
        if ($event->{type} eq 'lifespan.startup') {
            make_path($uploads);
            await $send->({ type => 'lifespan.startup.complete' });
        }
        elsif ($event->{type} eq 'lifespan.shutdown') {
            await $send->({ type => 'lifespan.shutdown.complete' });
            return;
        }
    }
}

my $app = async sub {
    my ($scope, $receive, $send) = @_;
    return await lifespan($receive, $send) if $scope->{type} eq 'lifespan';
    my $ctx = PAGI::Context->new($scope, $receive, $send)->assert_http;
    await $ctx->respond(await http($ctx));
};
$app;
