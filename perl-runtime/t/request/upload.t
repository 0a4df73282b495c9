use strict;
use warnings;
use Test2::V0;
use File::Temp;
use PAGI::Request::Upload;

my $directory = File::Temp->newdir;

sub file {
    my ($name, $content) = @_;
    my $path = "$directory/$name";
    open my $fh, '>:raw', $path or die $!;
    print {$fh} $content;
    close $fh;
    return $path;
}

sub content { open my $fh, '<:raw', $_[0] or die "$_[0]: $!"; local $/; return scalar <$fh> }

sub upload { PAGI::Request::Upload->new(field_name => 'f', @_) }

subtest 'in memory' => sub {
    my $upload = upload(filename => 'a.txt', content_type => 'text/plain', data => "a\nb\xff");
    is [ map { $upload->$_ } qw(field_name filename content_type size temp_path is_empty is_in_memory is_on_disk slurp) ],
        [ 'f', 'a.txt', 'text/plain', 4, undef, 0, 1, 0, "a\nb\xff" ], 'accessors';
    my $fh = $upload->fh;
    is scalar <$fh>, "a\n", 'handle';
    my $target = "$directory/new/deep/a.txt";
    ref_is $upload->move_to($target), $upload, 'move_to chains and makes directories';
    is content($target), "a\nb\xff", 'written';
    is [ $upload->size, $upload->is_in_memory, $upload->slurp ], [ 4, 0, '' ], 'the size stays, the content is gone';
    like dies { $upload->move_to($target) }, qr/^No content to move at \Q$0\E/, 'not twice';
    like dies { $upload->fh }, qr/^No content available at \Q$0\E/, 'no handle';
};

subtest 'on disk' => sub {
    my $path = file(temp => 'hello');
    my $upload = upload(temp_path => $path);
    is [ map { $upload->$_ } qw(filename content_type size temp_path is_empty is_in_memory is_on_disk slurp) ],
        [ '', 'application/octet-stream', 5, $path, 0, 0, 1, 'hello' ], 'accessors and defaults';
    my $fh = $upload->fh;
    is scalar <$fh>, 'hello', 'handle';
    $upload->move_to("$directory/moved");
    is [ content("$directory/moved"), -e $path, $upload->temp_path, $upload->size ], [ 'hello', undef, undef, 5 ], 'moved';
    undef $upload;
    ok -e "$directory/moved", 'the moved file is the application\'s';
};

subtest 'basename' => sub {
    my %expected = (
        'a.txt' => 'a.txt', '/home/me/a.txt' => 'a.txt', 'C:\\Users\\me\\a.txt' => 'a.txt', '../../etc/passwd' => 'passwd',
        '' => '', 'dir/' => '', 'C:\\a/b.txt' => 'b.txt',
    );
    is { map { $_ => upload(filename => $_)->basename } keys %expected }, \%expected, 'either separator';
};

subtest 'nothing and errors' => sub {
    like dies { PAGI::Request::Upload->new }, qr/^field_name is required at \Q$0\E/, 'field_name';
    my $empty = upload(filename => 'x');
    is [ $empty->size, $empty->is_empty, $empty->slurp, $empty->is_in_memory ], [ 0, 1, '', 0 ], 'no content';
    is [ upload(data => '')->is_empty, upload(data => '')->is_in_memory ], [ 1, 1 ], 'an empty file';

    my $gone = upload(temp_path => "$directory/gone");
    like dies { $gone->slurp }, qr{^Cannot read \Q$directory\E/gone: }, 'slurp';
    like dies { $gone->fh }, qr{^Cannot open \Q$directory\E/gone: }, 'fh';
    like dies { $gone->move_to("$directory/target") }, qr{^Cannot move to \Q$directory\E/target: }, 'move_to';
    like dies { upload(data => 'x')->move_to($directory) }, qr{^Cannot open \Q$directory\E for writing: }, 'target is a directory';
    my $file = file(plain => '');
    like dies { upload(data => 'x')->move_to("$file/x") }, qr{^Cannot move to \Q$file\E/x: }, 'directory cannot be made';
};

subtest ownership => sub {
    my $path = file(owned => 'x');
    my $upload = upload(temp_path => $path);
    $upload->discard;
    ok !-e $path, 'discard removes the file';
    $upload->discard;
    is $upload->is_on_disk, 0, 'and may be repeated';

    $path = file(owned => 'x');
    $upload = upload(temp_path => $path);
    undef $upload;
    ok !-e $path, 'so does the end of the object';

    $path = file(owned => 'x');
    $upload = upload(temp_path => $path);
    my $pid = fork // die "fork: $!";
    if (!$pid) { undef $upload; require POSIX; POSIX::_exit(0) }
    waitpid $pid, 0;
    ok -e $path, 'but not in a forked child';
};

done_testing;
