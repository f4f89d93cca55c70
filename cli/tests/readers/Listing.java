import java.io.DataInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.GZIPInputStream;

/** Lists an archive with Java's GZIPInputStream and a reader of ustar and GNU headers. */
class Listing {
    public static void main(String[] args) throws Exception {
        try (var in = new DataInputStream(new GZIPInputStream(new FileInputStream(args[0])))) {
            list(in);
        }
    }

    static void list(DataInputStream in) throws Exception {
        var hex = HexFormat.of();
        var out = new StringBuilder();
        byte[] name = null;
        byte[] link = null;
        for (;;) {
            byte[] head = new byte[512];
            in.readFully(head);
            if (isZero(head)) {
                break;
            }
            check(head);
            int size = (int) number(head, 124, 12);
            byte[] data = new byte[size];
            in.readFully(data);
            in.readFully(new byte[-size & 511]);
            char type = (char) head[156];
            if (type == 'L') {
                name = Arrays.copyOf(data, size - 1);
                continue;
            }
            if (type == 'K') {
                link = Arrays.copyOf(data, size - 1);
                continue;
            }
            if (name == null) {
                name = name(head);
            }
            if (link == null) {
                link = text(head, 157, 100);
            }
            if (name[name.length - 1] == '/') {
                name = Arrays.copyOf(name, name.length - 1);
            }
            String kind = type == '0' ? "f" : type == '2' ? "l" : type == '5' ? "d" : "?";
            byte[] hash = MessageDigest.getInstance("SHA-1").digest(data);
            out.append(String.format("%s %s %d %o %d %s %s%n", kind, hex.formatHex(name), size,
                number(head, 100, 8), number(head, 136, 12),
                link.length == 0 ? "-" : hex.formatHex(link), hex.formatHex(hash)));
            name = null;
            link = null;
        }
        if (!isZero(in.readAllBytes())) {
            throw new IOException("bytes behind the end");
        }
        System.out.print(out);
    }

    static byte[] name(byte[] head) {
        byte[] name = text(head, 0, 100);
        boolean isPosix = head[262] == 0;
        byte[] prefix = isPosix ? text(head, 345, 155) : new byte[0];
        if (prefix.length == 0) {
            return name;
        }
        byte[] joined = Arrays.copyOf(prefix, prefix.length + 1 + name.length);
        joined[prefix.length] = '/';
        System.arraycopy(name, 0, joined, prefix.length + 1, name.length);
        return joined;
    }

    static byte[] text(byte[] head, int start, int length) {
        int end = start;
        while (end < start + length && head[end] != 0) {
            end++;
        }
        return Arrays.copyOfRange(head, start, end);
    }

    static long number(byte[] head, int start, int length) {
        return Long.parseLong(new String(text(head, start, length)).trim(), 8);
    }

    static void check(byte[] head) throws IOException {
        int sum = 0;
        for (int i = 0; i < 512; i++) {
            sum += i >= 148 && i < 156 ? ' ' : head[i] & 255;
        }
        if (sum != number(head, 148, 8)) {
            throw new IOException("checksum");
        }
    }

    static boolean isZero(byte[] bytes) {
        for (byte b : bytes) {
            if (b != 0) {
                return false;
            }
        }
        return true;
    }
}
