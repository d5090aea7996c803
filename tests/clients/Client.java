// Java's HttpClient against the test target session_api. It needs the JDK alone.
//
// java Client.java BASE TEST CERTIFICATE: the service over TLS, and the routes that control it.

import java.net.CookieManager;
import java.net.CookiePolicy;
import java.net.HttpCookie;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpClient.Version;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Client {
    static final String FORM = "application/x-www-form-urlencoded";
    static final String JSON = "application/json";

    static String base;
    static String test;
    static SSLContext tls;

    final HttpClient http;
    final CookieManager cookies;

    /** With the defaults of Java: HTTP/2 where the server has it. */
    Client(CookieManager cookies) {
        var builder = HttpClient.newBuilder().sslContext(tls);
        this.cookies = cookies;
        this.http = (cookies == null ? builder : builder.cookieHandler(cookies)).build();
    }

    HttpResponse<String> get(String path, String... headers) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(base + path));
        if (headers.length > 0) request.headers(headers);
        return http.send(request.build(), BodyHandlers.ofString());
    }

    HttpResponse<String> post(String path, String type, String body, String... headers)
            throws Exception {
        var publisher = body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body);
        var request = HttpRequest.newBuilder(URI.create(base + path)).POST(publisher);
        if (type != null) request.header("Content-Type", type);
        if (headers.length > 0) request.headers(headers);
        return http.send(request.build(), BodyHandlers.ofString());
    }

    static void control(String path) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(test + "/" + path));
        request.POST(BodyPublishers.noBody());
        HttpClient.newHttpClient().send(request.build(), BodyHandlers.discarding());
    }

    static void check(boolean condition, Object what) {
        if (!condition) throw new AssertionError(what);
    }

    static void expect(HttpResponse<String> response, int status, String body) {
        check(response.statusCode() == status, response + " " + response.body());
        check(response.body().matches("(?s).*(" + body + ").*"), response + " " + response.body());
    }

    /** A member of a flat object of strings. The JDK reads no JSON. */
    static String member(HttpResponse<String> response, String name) {
        var found = Pattern.compile("\"" + name + "\":\"([^\"]+)\"").matcher(response.body());
        check(found.find(), "no " + name);
        return found.group(1);
    }

    static String form(String token) {
        return "grant_type=refresh_token&refresh_token=" + token;
    }

    static String json(String token) {
        return "{\"refresh_token\":\"" + token + "\"}";
    }

    static String pair(HttpResponse<String> response) {
        expect(response, 200, "\"token_type\":\"Bearer\",\"expires_in\":300");
        var cookie = response.headers().firstValue("set-cookie");
        check(cookie.isEmpty(), "a body never becomes a cookie");
        return member(response, "refresh_token");
    }

    static void bodies() throws Exception {
        var client = new Client(null);
        var login = client.post("/app/login", FORM, "username=java");
        check(login.version() == Version.HTTP_2, login.version());
        var token = pair(login);
        token = pair(client.post("/refresh", FORM, form(token)));
        var refreshed = client.post("/refresh", JSON, json(token));
        token = pair(refreshed);
        String[] bearer = {"Authorization", "Bearer " + member(refreshed, "access_token")};
        expect(client.get("/me", bearer), 200, "\"java\"");

        control("store/fail");
        for (var path : List.of("/refresh", "/logout")) {
            expect(client.post(path, FORM, form(token)), 503, "\"status\":503");
            var unavailable = client.post(path, JSON, json(token));
            expect(unavailable, 503, "\"status\":503");
            var wait = unavailable.headers().firstValue("retry-after");
            check(wait.equals(Optional.of("1")), wait);
        }
        control("store/recover");
        token = pair(client.post("/refresh", FORM, form(token)));

        expect(client.post("/logout", JSON, json(token)), 204, "");
        expect(client.post("/refresh", FORM, form(token)), 400, "\"error\":\"invalid_grant\"");
        expect(client.post("/refresh", JSON, json(token)), 401, "\"status\":401");
        expect(client.get("/me", bearer), 401, "\"status\":401");
        System.out.println("ok Java: form and JSON");
    }

    List<String> held() {
        var held = cookies.getCookieStore().getCookies().stream();
        return held.map(HttpCookie::getName).sorted().toList();
    }

    /** Java's `CookieManager` sends cookies with quotes, attributes and a version. */
    static void cookies() throws Exception {
        var client = new Client(new CookieManager(null, CookiePolicy.ACCEPT_ALL));
        var names = List.of("__Host-access", "__Host-refresh");
        String[] origin = {"Origin", base};
        expect(client.post("/login", FORM, "username=java", origin), 204, "");
        check(client.held().equals(names), client.held());
        expect(client.get("/me"), 200, "\"java\"");
        for (var type : new String[] {null, FORM, JSON}) {
            var body = type == null ? null : type.equals(JSON) ? "{}" : "";
            expect(client.post("/refresh", type, body, origin), 200, "\\{\"expires_in\":300\\}");
            expect(client.get("/me"), 200, "\"java\"");
        }
        control("advance/400");
        expect(client.get("/me"), 401, "\"status\":401");
        expect(client.post("/refresh", null, null, origin), 200, "\\{\"expires_in\":300\\}");
        expect(client.get("/me"), 200, "\"java\"");

        String[] foreign = {"Origin", "https://evil.example"};
        for (var path : List.of("/refresh", "/logout")) {
            expect(client.post(path, null, null, foreign), 403, "\"status\":403");
            expect(client.post(path, null, null), 403, "\"status\":403");
        }
        control("store/fail");
        expect(client.post("/refresh", null, null, origin), 503, "\"status\":503");
        expect(client.post("/logout", null, null, origin), 503, "\"status\":503");
        check(client.held().equals(names), client.held());
        control("store/recover");

        expect(client.post("/logout", null, null, origin), 204, "");
        check(client.held().isEmpty(), client.held());
        expect(client.get("/me"), 401, "\"status\":401");
        System.out.println("ok Java: cookies");
    }

    /** Without TLS, Java asks in each request for an upgrade to HTTP/2. */
    static void upgrade() throws Exception {
        var secure = base;
        base = test.substring(0, test.lastIndexOf('/'));
        var client = new Client(null);
        var login = client.post("/app/login", FORM, "username=java");
        var token = pair(client.post("/refresh", FORM, form(pair(login))));
        String[] cookie = {"Cookie", "__Host-access=" + member(login, "access_token")};
        expect(client.get("/me", cookie), 200, "\"java\"");
        expect(client.post("/logout", JSON, json(token)), 204, "");
        base = secure;
        System.out.println("ok Java: with Upgrade: h2c");
    }

    static SSLContext trusting(Path certificate) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (var file = Files.newInputStream(certificate)) {
            var factory = CertificateFactory.getInstance("X.509");
            store.setCertificateEntry("test", factory.generateCertificate(file));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    public static void main(String[] arguments) throws Exception {
        base = arguments[0];
        test = arguments[1];
        tls = trusting(Path.of(arguments[2]));
        bodies();
        cookies();
        upgrade();
    }
}
