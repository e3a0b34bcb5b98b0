package lakehouse;

import io.delta.storage.S3SingleDriverLogStore;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Delta's log on S3, safe for any number of writers: a version is committed by one of them. */
public final class S3LogStore extends S3SingleDriverLogStore {
  public S3LogStore(Configuration configuration) {
    super(configuration);
  }

  @Override
  public void write(
      Path path, Iterator<String> actions, Boolean overwrite, Configuration configuration)
      throws IOException {
    if (overwrite) {
      super.write(path, actions, true, configuration);
      return;
    }
    NewObject commit = new NewObject(path.getFileSystem(configuration), path);
    try {
      while (actions.hasNext()) {
        commit.stream.write((actions.next() + "\n").getBytes(StandardCharsets.UTF_8));
      }
    } catch (IOException | RuntimeException | Error failure) {
      commit.abort();
      throw failure;
    }
    try {
      commit.close();
    } catch (org.apache.hadoop.fs.FileAlreadyExistsException taken) {
      throw (IOException) new FileAlreadyExistsException(path.toString()).initCause(taken);
    }
  }
}
