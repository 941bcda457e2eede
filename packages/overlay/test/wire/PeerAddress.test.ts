import { assert, describe, it } from "@effect/vitest"
import { xdr } from "@stellar/stellar-base"
import { Equal, Hash, HashMap, Option, Result } from "effect"
import { DEFAULT_PEER_PORT, encodeEntry, PeerAddress, readEntry } from "../../src/wire/PeerAddress.ts"

const text = (input: string, options?: { readonly ipv6?: boolean }): string => {
  const result = PeerAddress.parse(input, options)
  return Result.isSuccess(result) ? result.success.toString() : result.failure.reason
}

const address = (host: string): PeerAddress => PeerAddress.make(host, DEFAULT_PEER_PORT)

describe("PeerAddress", () => {
  describe("parse", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      // core's forms; the default port is 11625
      ["host", "host:11625"],
      ["host:1", "host:1"],
      ["core-live-a.stellar.org:11625", "core-live-a.stellar.org:11625"],
      ["Core-Live-A.Stellar.ORG", "core-live-a.stellar.org:11625"],
      ["1.2.3.4", "1.2.3.4:11625"],
      ["1.2.3.4:65535", "1.2.3.4:65535"],
      ["1.2.3.4:00080", "1.2.3.4:80"],
      ["0.0.0.0", "0.0.0.0:11625"],
      ["255.255.255.255", "255.255.255.255:11625"],
      ["4host.7z:8", "4host.7z:8"],
      ["1.2.3.4.example", "1.2.3.4.example:11625"],
      ["example.com.", "example.com.:11625"],
      // ports
      ["1.2.3.4:0", "InvalidPort"],
      ["1.2.3.4:65536", "InvalidPort"],
      ["1.2.3.4:100000", "InvalidPort"],
      ["1.2.3.4:011625", "InvalidPort"], // core reads five digits at most
      ["1.2.3.4:", "InvalidPort"],
      ["1.2.3.4:-1", "InvalidPort"],
      ["1.2.3.4:+1", "InvalidPort"],
      ["1.2.3.4:1e3", "InvalidPort"],
      ["1.2.3.4: 1", "InvalidPort"],
      ["host:port", "InvalidPort"],
      ["host:1/x", "InvalidPort"],
      // hosts
      ["", "EmptyAddress"],
      [":11625", "InvalidHost"],
      [" host", "InvalidHost"],
      ["host ", "InvalidHost"],
      ["ho st", "InvalidHost"],
      ["host_name", "InvalidHost"],
      ["http://host", "InvalidPort"],
      ["user@host", "InvalidHost"],
      ["höst", "InvalidHost"],
      ["host\u0000", "InvalidHost"],
      ["host\n", "InvalidHost"],
      [".", "InvalidHost"],
      ["a..b", "InvalidHost"],
      [".a", "InvalidHost"],
      ["a".repeat(63) + ".b", "a".repeat(63) + ".b:11625"],
      ["a".repeat(64) + ".b", "InvalidHost"],
      [("a".repeat(49) + ".").repeat(5) + "com", ("a".repeat(49) + ".").repeat(5) + "com:11625"],
      [("a".repeat(49) + ".").repeat(5) + "info", "InvalidHost"],
      // all-numeric hosts are dotted quads or nothing: resolvers read some of these as other addresses
      ["1.2.3", "InvalidHost"],
      ["1.2.3.4.5", "InvalidHost"],
      ["1.2.3.256", "InvalidHost"],
      ["1.2.3.04", "InvalidHost"],
      ["010.0.0.1", "InvalidHost"],
      ["1.2.3.4.", "InvalidHost"],
      ["127.1", "InvalidHost"],
      ["2130706433", "InvalidHost"],
      ["0x7f000001", "InvalidHost"],
      ["0x7f.1", "InvalidHost"],
      ["1.2..4", "InvalidHost"]
    ]
    it.each(cases)("CFG-04 %j is %j", (input, expected) => {
      assert.strictEqual(text(input), expected)
      assert.strictEqual(text(input, { ipv6: false }), expected)
    })

    const ipv6: ReadonlyArray<readonly [string, string]> = [
      ["[::1]:11625", "[::1]:11625"],
      ["[::1]", "[::1]:11625"],
      ["::1", "[::1]:11625"],
      ["::", "[::]:11625"],
      ["[2001:db8::1]:443", "[2001:db8::1]:443"],
      ["2001:db8::1:443", "[2001:db8::1:443]:11625"], // two or more colons: an address, and no port
      // RFC 5952: one text for one address
      ["2001:DB8::A", "[2001:db8::a]:11625"],
      ["2001:0db8:0000:0000:0001:0000:0000:0001", "[2001:db8::1:0:0:1]:11625"],
      ["2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:11625"],
      ["2001:db8:0:0:0:0:2:1", "[2001:db8::2:1]:11625"],
      ["2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]:11625"],
      ["1:2:3:4:5:6:7::", "[1:2:3:4:5:6:7:0]:11625"],
      ["::2:3:4:5:6:7:8", "[0:2:3:4:5:6:7:8]:11625"],
      ["fe80::", "[fe80::]:11625"],
      ["64:ff9b::1.2.3.4", "[64:ff9b::102:304]:11625"]
    ]
    it.each(ipv6)("CFG-05 %j is %j when IPv6 is enabled", (input, expected) => {
      assert.strictEqual(text(input), expected)
      assert.strictEqual(text(input, { ipv6: true }), expected)
      assert.strictEqual(text(input, { ipv6: false }), "Ipv6Disabled")
    })

    it.each([
      "[::1",
      "::1]",
      "[]",
      "[]:1",
      "[1.2.3.4]:1",
      "[host]:1",
      ":::",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::",
      "1:2:3:4:5:6:7:1.2.3.4",
      "1.2.3.4::1",
      "::1.2.3",
      "::1.2.3.4:5",
      "::1.2.3.256",
      "::12345",
      "2001:db8::1:11625",
      "::g",
      "fe80::1%eth0",
      " ::1",
      "[[::1]]"
    ])("CFG-05 %j is no address", (input) => {
      assert.strictEqual(text(input), "InvalidHost")
    })

    it("CFG-05 what follows the bracket must be a port", () => {
      for (const input of ["[::1]11625", "[::1]:", "[::1]:0", "[::1]:65536", "[::1]:1:2", "[::1]]"]) {
        assert.strictEqual(text(input), "InvalidPort", input)
      }
    })

    it("CFG-05 IPv4 mapped into IPv6 is IPv4, however it is written", () => {
      for (const input of ["::ffff:1.2.3.4", "[::FFFF:1.2.3.4]:11625", "::ffff:102:304", "0:0:0:0:0:ffff:0102:0304"]) {
        assert.strictEqual(text(input), "1.2.3.4:11625")
        assert.strictEqual(text(input, { ipv6: false }), "1.2.3.4:11625")
      }
      assert.strictEqual(text("::fffe:1.2.3.4"), "[::fffe:102:304]:11625")
      assert.strictEqual(text("1::ffff:1.2.3.4"), "[1::ffff:102:304]:11625")
    })

    it("CFG-04 an error says where, and never repeats the input", () => {
      const error = Result.getOrThrow(Result.flip(PeerAddress.parse("1.2.3.4:\u001b[31m")))
      assert.strictEqual(error.offset, 7)
      assert.notInclude(String(error), "\u001b")
    })

    it("CFG-04 CFG-05 every printed address parses to itself", () => {
      for (const [input] of [...cases, ...ipv6]) {
        const result = PeerAddress.parse(input)
        if (Result.isFailure(result)) continue
        assert.isTrue(Equal.equals(Result.getOrThrow(PeerAddress.parse(result.success.toString())), result.success))
      }
    })
  })

  it("CFG-04 an unknown address is distinguishable and never comes from input", () => {
    const unknown = PeerAddress.make("", 0)
    assert.isTrue(unknown.isEmpty)
    assert.isFalse(unknown.isPrivate || unknown.isLocalhost || unknown.isRoutable)
    assert.isFalse(address("1.2.3.4").isEmpty)
    assert.isFalse(Equal.equals(unknown, PeerAddress.make("0.0.0.0", 0)))
    assert.isTrue(Result.isFailure(PeerAddress.parse("")))
  })

  it("CFG-04 CFG-05 make canonicalises what sockets report and refuses what is no host", () => {
    assert.strictEqual(PeerAddress.make("::ffff:10.0.0.1", 5).toString(), "10.0.0.1:5")
    assert.strictEqual(PeerAddress.make("fe80::1%eth0", 5).toString(), "[fe80::1]:5")
    assert.strictEqual(PeerAddress.make("Node-1", 5).host, "node-1")
    assert.strictEqual(PeerAddress.make("1.2.3.4", 0).port, 0)
    assert.strictEqual(PeerAddress.make("::1", 5).kind, "ipv6")
    assert.strictEqual(PeerAddress.make("::1", 5).host, "::1")
    for (const host of ["a b", "1.2.3", "[::1]", "host:1", "host%eth0"]) {
      assert.throws(() => PeerAddress.make(host, 5), RangeError)
    }
    for (const port of [-1, 65536, 1.5, Number.NaN]) assert.throws(() => PeerAddress.make("host", port), RangeError)
  })

  it("CFG-04 addresses are equal by value and usable as keys", () => {
    const one = PeerAddress.make("1.2.3.4", 11625)
    const same = Result.getOrThrow(PeerAddress.parse("1.2.3.4"))
    const otherPort = PeerAddress.make("1.2.3.4", 11626)
    assert.isTrue(Equal.equals(one, same))
    assert.strictEqual(Hash.hash(one), Hash.hash(same))
    assert.strictEqual(one.key, same.key)
    assert.isFalse(Equal.equals(one, otherPort))
    assert.isFalse(Equal.equals(one, PeerAddress.make("1.2.3.5", 11625)))
    assert.isFalse(Equal.equals<unknown, unknown>(one, "1.2.3.4:11625"))
    const map = HashMap.make([one, "a"], [otherPort, "b"])
    assert.deepStrictEqual(HashMap.get(map, same), Option.some("a"))
    assert.strictEqual(JSON.stringify({ address: one }), `{"address":"1.2.3.4:11625"}`)
  })

  it("CFG-04 CFG-05 the order is by number, then port: 9 before 10, IPv4 before IPv6 before names", () => {
    const sorted = [
      "2.0.0.0:1",
      "9.0.0.0:9",
      "9.0.0.0:10",
      "10.0.0.0:1",
      "200.0.0.0:1",
      "[::2]:1",
      "[::10]:1",
      "[2001:db8::]:1",
      "a.example:2",
      "a.example:10",
      "b.example:1"
    ]
    const shuffled = sorted.map((_, i) => Result.getOrThrow(PeerAddress.parse(sorted[(i * 7) % sorted.length]!)))
    assert.deepStrictEqual(shuffled.sort(PeerAddress.Order).map(String), sorted)
    assert.strictEqual(PeerAddress.Order(address("1.2.3.4"), address("1.2.3.4")), 0)
  })

  it("CFG-04 private is 10/8, 172.16/12 and 192.168/16, and nothing else", () => {
    const inside = ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"]
    const outside = ["9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0"]
    const others = ["127.0.0.1", "169.254.0.1", "100.64.0.1", "::1", "fc00::1", "10.example", "localhost"]
    for (const host of inside) assert.isTrue(address(host).isPrivate, host)
    for (const host of [...outside, ...others]) assert.isFalse(address(host).isPrivate, host)
    assert.isTrue(address("::ffff:10.0.0.1").isPrivate)
  })

  it("CFG-04 CFG-05 localhost is 127/8 and ::1, and not merely private", () => {
    for (const host of ["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"]) {
      assert.isTrue(address(host).isLocalhost, host)
      assert.isFalse(address(host).isPrivate, host)
    }
    for (const host of ["126.255.255.255", "128.0.0.0", "::", "::2", "10.0.0.1", "localhost", "127.example"]) {
      assert.isFalse(address(host).isLocalhost, host)
    }
  })

  const special: ReadonlyArray<readonly [first: string, last: string]> = [
    ["0.0.0.0", "0.255.255.255"],
    ["10.0.0.0", "10.255.255.255"],
    ["100.64.0.0", "100.127.255.255"],
    ["127.0.0.0", "127.255.255.255"],
    ["169.254.0.0", "169.254.255.255"],
    ["172.16.0.0", "172.31.255.255"],
    ["192.0.0.0", "192.0.0.255"],
    ["192.0.2.0", "192.0.2.255"],
    ["192.168.0.0", "192.168.255.255"],
    ["198.18.0.0", "198.19.255.255"],
    ["198.51.100.0", "198.51.100.255"],
    ["203.0.113.0", "203.0.113.255"]
  ]
  const neighbour = (host: string, step: 1 | -1): string => {
    const number = host.split(".").reduce((sum, part) => sum * 256 + Number(part), 0) + step
    return [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255].join(".")
  }
  it.each(special)("P1 gossip of %s to %s is not routable, the addresses around are", (first, last) => {
    for (const host of [first, last, `::ffff:${first}`, `::ffff:${last}`]) {
      assert.isFalse(address(host).isRoutable, host)
    }
    if (first !== "0.0.0.0") assert.isTrue(address(neighbour(first, -1)).isRoutable)
    assert.isTrue(address(neighbour(last, 1)).isRoutable)
  })

  it("P1 multicast, reserved, broadcast, names and special IPv6 are not routable", () => {
    const bad = `224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255 localhost example.com
      :: ::1 ::1.2.3.4 fc00:: fdff::1 fe80::1 febf::1 fec0::1 ff02::1 64:ff9b::a00:1
      2001::1 2001:1ff:: 2001:db8::1 2002:a00:1:: 3fff::1 3fff:fff:: 4000:: 1fff:: 100::1`.split(/\s+/)
    for (const host of bad) assert.isFalse(address(host).isRoutable, host)
    const good = "223.255.255.255 1.1.1.1 2000::1 2001:200:: 2001:db9:: 2003::1 2606:4700::1 3fff:1000::".split(" ")
    for (const host of good) assert.isTrue(address(host).isRoutable, host)
  })

  it("P1 port 0 and ports above 65535 are not addresses", () => {
    const ip = Uint8Array.of(1, 2, 3, 4)
    for (const port of [0, 65536, 0xffffffff]) {
      assert.strictEqual(Result.getOrThrow(Result.flip(PeerAddress.fromIpBytes(ip, port))).reason, "InvalidPort")
    }
    assert.strictEqual(String(Result.getOrThrow(PeerAddress.fromIpBytes(ip, 65535))), "1.2.3.4:65535")
    assert.isTrue(Result.isFailure(PeerAddress.fromIpBytes(new Uint8Array(5), 1)))
  })

  it("CFG-04 CFG-05 subnets group addresses: /16 and /24, or /32 and /48", () => {
    assert.strictEqual(address("1.2.3.4").subnet16, "1.2.0.0/16")
    assert.strictEqual(address("1.2.3.4").subnet24, "1.2.3.0/24")
    assert.strictEqual(address("::ffff:1.2.3.4").subnet16, "1.2.0.0/16")
    assert.strictEqual(address("2001:db8:1:2:3:4:5:6").subnet16, "2001:db8::/32")
    assert.strictEqual(address("2001:db8:1:2:3:4:5:6").subnet24, "2001:db8:1::/48")
    assert.strictEqual(address("a.example").subnet16, "a.example")
    assert.strictEqual(address("a.example").subnet24, "a.example")
  })

  it("CFG-04 CFG-05 entries of PEERS are the bytes that stellar-base writes, and read back", () => {
    const ipv4 = PeerAddress.make("1.2.3.4", 11625)
    const ipv6 = PeerAddress.make("2001:db8::5", 443)
    const foreign = (ip: xdr.PeerAddressIp, port: number, numFailures: number): Uint8Array =>
      Uint8Array.from(new xdr.PeerAddress({ ip, port, numFailures }).toXDR())
    assert.deepStrictEqual(encodeEntry(ipv4), foreign(xdr.PeerAddressIp.iPv4(Buffer.from([1, 2, 3, 4])), 11625, 0))
    assert.deepStrictEqual(encodeEntry(ipv6, 7), foreign(xdr.PeerAddressIp.iPv6(Buffer.from(ipv6.ipBytes!)), 443, 7))
    assert.strictEqual(encodeEntry(PeerAddress.make("host", 1)), undefined)

    const both = Buffer.concat([Buffer.alloc(3), encodeEntry(ipv4)!, encodeEntry(ipv6, 7)!])
    const first = readEntry(both, 3)!
    assert.deepStrictEqual([first.port, first.numFailures, first.end], [11625, 0, 3 + 16])
    assert.isTrue(Equal.equals(Result.getOrThrow(PeerAddress.fromIpBytes(first.ip, first.port)), ipv4))
    const second = readEntry(both, first.end)!
    assert.deepStrictEqual([second.port, second.numFailures, second.end], [443, 7, 3 + 16 + 28])
    assert.isTrue(Equal.equals(Result.getOrThrow(PeerAddress.fromIpBytes(second.ip, second.port)), ipv6))

    for (let end = 0; end < 16; end++) assert.strictEqual(readEntry(encodeEntry(ipv4)!.subarray(0, end), 0), undefined)
    for (let end = 0; end < 28; end++) assert.strictEqual(readEntry(encodeEntry(ipv6)!.subarray(0, end), 0), undefined)
    assert.strictEqual(readEntry(Uint8Array.from({ length: 28 }, (_, i) => i === 3 ? 2 : 0), 0), undefined)
  })
})
