package lakehouse;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.execution.streaming.checkpointing.CheckpointFileManager.CancellableFSDataOutputStream;
import org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager;

/**
 * A stream's checkpoint on S3. A file appears whole when it is closed, without the rename that is
 * a copy there; of two streams with one checkpoint, the second is refused.
 */
public final class S3CheckpointFileManager extends FileSystemBasedCheckpointFileManager {
  public S3CheckpointFileManager(Path path, Configuration configuration) {
    super(path, configuration);
  }

  @Override
  public CancellableFSDataOutputStream createAtomic(Path path, boolean overwriteIfPossible) {
    try {
      if (!"s3a".equals(fs().getScheme())) {
        return super.createAtomic(path, overwriteIfPossible);
      }
      if (overwriteIfPossible) {
        var stream = fs().create(path, true);
        return cancellable(stream, stream::close, stream::abort);
      }
      NewObject file = new NewObject(fs(), path);
      return cancellable(file.stream, file::close, file::abort);
    } catch (IOException failure) {
      throw new java.io.UncheckedIOException(failure);
    }
  }

  private interface Close {
    void run() throws IOException;
  }

  private static CancellableFSDataOutputStream cancellable(
      OutputStream stream, Close close, Runnable abort) throws IOException {
    OutputStream once =
        new FilterOutputStream(stream) {
          private boolean ended;

          @Override
          public void write(byte[] bytes, int offset, int length) throws IOException {
            out.write(bytes, offset, length);
          }

          @Override
          public void close() throws IOException {
            if (!ended) {
              ended = true;
              close.run();
            }
          }
        };
    return new CancellableFSDataOutputStream(once) {
      @Override
      public void cancel() {
        abort.run();
      }
    };
  }
}
