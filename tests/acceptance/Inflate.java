import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.zip.CRC32;
import java.util.zip.GZIPInputStream;
import java.util.zip.Inflater;

/** Prints the sha256 of what each gzip holds, one per line; fails unless it is exactly one member. */
class Inflate {
    public static void main(String[] names) throws Exception {
        for (String name : names) {
            byte[] gzip = Files.readAllBytes(Path.of(name));
            // Reads every member there is.
            MessageDigest all = MessageDigest.getInstance("SHA-256");
            byte[] buffer = new byte[1 << 16];
            try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(gzip))) {
                for (int n; (n = in.read(buffer)) >= 0; ) all.update(buffer, 0, n);
            }
            // Reads the DEFLATE stream behind the header; the trailer, and nothing else, must be left.
            MessageDigest first = MessageDigest.getInstance("SHA-256");
            CRC32 crc = new CRC32();
            Inflater inflater = new Inflater(true);
            inflater.setInput(gzip, 10, gzip.length - 10);
            while (!inflater.finished()) {
                int n = inflater.inflate(buffer);
                if (n == 0 && inflater.needsInput()) throw new Exception(name + " ends early");
                first.update(buffer, 0, n);
                crc.update(buffer, 0, n);
            }
            byte[] hash = all.digest();
            ByteBuffer trailer = ByteBuffer.wrap(gzip, gzip.length - 8, 8).order(ByteOrder.LITTLE_ENDIAN);
            boolean one = inflater.getRemaining() == 8 && MessageDigest.isEqual(hash, first.digest())
                    && trailer.getInt() == (int) crc.getValue() && trailer.getInt() == (int) inflater.getBytesWritten();
            if (!one) throw new Exception(name + " isn't one member");
            System.out.println(HexFormat.of().formatHex(hash));
        }
    }
}
