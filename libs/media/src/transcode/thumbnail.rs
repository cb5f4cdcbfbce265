//! One small JPEG of a picture.

use bytes::Bytes;
use ffmpeg_next::{
    Dictionary, Error, Packet, Rational, codec, color::Range, encoder, ffi, format::Pixel, frame,
};

use super::{Failure, scale::Scaler, size::rung_size};

/// Greatest width and height in pixels; a 16:9 picture is 320 pixels wide.
const WIDTH: u32 = 320;
const HEIGHT: u32 = 180;
/// FFmpeg's quality of MJPEG, 2 (best) to 31.
const QUALITY: i32 = 5;

/// The picture as JPEG, about 320 pixels wide.
pub(super) fn jpeg(picture: &frame::Video) -> Result<Bytes, Failure> {
    encode(picture)
        .map_err(|error| Failure::internal(format!("the thumbnail cannot be encoded: {error}")))
}

fn encode(picture: &frame::Video) -> Result<Bytes, Error> {
    let positive = |value: i32| u32::try_from(value).unwrap_or(0);
    let aspect = picture.aspect_ratio();
    let (width, height) = rung_size(
        (picture.width(), picture.height()),
        (positive(aspect.numerator()), positive(aspect.denominator())),
        HEIGHT,
    );
    let (width, height) = if width > WIDTH {
        (WIDTH, (height * WIDTH / width).max(2) & !1)
    } else {
        (width, height)
    };
    let mut scaler = Scaler::new(Pixel::YUVJ420P, width, height);
    let scaled = scaler.scale(picture)?;
    let codec = encoder::find_by_name("mjpeg").ok_or(Error::EncoderNotFound)?;
    let mut video = codec::Context::new_with_codec(codec).encoder().video()?;
    video.set_width(width);
    video.set_height(height);
    video.set_format(Pixel::YUVJ420P);
    video.set_color_range(Range::JPEG);
    video.set_time_base(Rational(1, 25));
    video.set_flags(codec::Flags::BITEXACT | codec::Flags::QSCALE);
    video.set_threading(codec::threading::Config::count(1));
    let quality = QUALITY * ffi::FF_QP2LAMBDA;
    video.set_global_quality(quality);
    let mut options = Dictionary::new();
    // The transform in C: those in SIMD round otherwise.
    options.set("dct", "int");
    let mut encoder = video.open_with(options)?;
    scaled.set_pts(Some(0));
    // SAFETY: the frame is valid and owned by the scaler; its quality is a plain number.
    unsafe { (*scaled.as_mut_ptr()).quality = quality };
    encoder.send_frame(scaled)?;
    encoder.send_eof()?;
    let mut packet = Packet::empty();
    encoder.receive_packet(&mut packet)?;
    Ok(Bytes::copy_from_slice(packet.data().unwrap_or_default()))
}
