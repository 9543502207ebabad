// HTTP requests and responses, as the contract wasmcloud:httpserver has them: maps in msgpack.

import { Decoder, Encoder, Sizer, Writer } from "@wapc/as-msgpack";

/** An HTTP request. Its headers are left out. */
export class Request {
  method: string = "";
  path: string = "";
  queryString: string = "";
  body: ArrayBuffer = new ArrayBuffer(0);

  static decode(payload: ArrayBuffer): Request {
    const request = new Request();
    const decoder = new Decoder(payload);
    for (let fields = decoder.readMapSize(); fields > 0; fields--) {
      const field = decoder.readString();
      if (field == "method") {
        request.method = decoder.readString();
      } else if (field == "path") {
        request.path = decoder.readString();
      } else if (field == "queryString") {
        request.queryString = decoder.readString();
      } else if (field == "body") {
        request.body = decoder.readByteArray();
      } else {
        decoder.skip();
      }
    }
    return request;
  }

  /** Returns the body as text. */
  text(): string {
    return String.UTF8.decode(this.body);
  }
}

/** An HTTP response of plain text. */
export class Response {
  constructor(public statusCode: u32, public status: string, public text: string) {}

  encode(): ArrayBuffer {
    const sizer = new Sizer();
    this.write(sizer);
    const buffer = new ArrayBuffer(sizer.length);
    this.write(new Encoder(buffer));
    return buffer;
  }

  private write(writer: Writer): void {
    writer.writeMapSize(4);
    writer.writeString("statusCode");
    writer.writeUInt32(this.statusCode);
    writer.writeString("status");
    writer.writeString(this.status);
    writer.writeString("header");
    writer.writeMapSize(1);
    writer.writeString("content-type");
    writer.writeString("text/plain; charset=utf-8");
    writer.writeString("body");
    writer.writeByteArray(String.UTF8.encode(this.text));
  }
}

/** Encodes the answer to a health check. */
export function healthy(): ArrayBuffer {
  const sizer = new Sizer();
  writeHealthy(sizer);
  const buffer = new ArrayBuffer(sizer.length);
  writeHealthy(new Encoder(buffer));
  return buffer;
}

function writeHealthy(writer: Writer): void {
  writer.writeMapSize(2);
  writer.writeString("healthy");
  writer.writeBool(true);
  writer.writeString("message");
  writer.writeString("");
}
