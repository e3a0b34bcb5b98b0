package lakehouse;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.UUID;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * A file on S3 that appears whole when it is closed, and only if there is none of its name: the
 * store itself refuses the second of two writers (If-None-Match), wherever they run.
 */
final class NewObject {
  private static final String WRITER = "lakehouse-writer";

  final FSDataOutputStream stream;
  private final FileSystem files;
  private final Path path;
  private final byte[] writer;

  NewObject(FileSystem files, Path path) throws IOException {
    String id = UUID.randomUUID().toString();
    FSDataOutputStreamBuilder<?, ?> builder = files.createFile(path);
    builder.overwrite(false);
    builder.must("fs.option.create.conditional.overwrite", true);
    builder.must("fs.s3a.create.header." + WRITER, id);
    this.files = files;
    this.path = path;
    this.writer = id.getBytes(StandardCharsets.UTF_8);
    this.stream = builder.build();
  }

  /** Nothing of it will ever be seen. */
  void abort() {
    stream.abort();
  }

  /**
   * Make it appear.
   *
   * @throws FileAlreadyExistsException another writer was first
   * @throws IOException the store failed; it may appear later if the store took it in all the same
   */
  void close() throws IOException {
    try {
      stream.close();
    } catch (IOException failure) {
      // S3A repeats a request whose answer was lost, and the repetition meets our own object.
      if (!Arrays.equals(writer, standingWriter(failure))) {
        FileAlreadyExistsException taken = new FileAlreadyExistsException(path.toString());
        taken.initCause(failure);
        throw taken;
      }
    }
  }

  private byte[] standingWriter(IOException failure) throws IOException {
    try {
      return files.getXAttr(path, "header." + WRITER);
    } catch (FileNotFoundException absent) {
      throw failure;
    } catch (IOException unknown) {
      failure.addSuppressed(unknown);
      throw failure;
    }
  }
}
