// Figures are zoomed with the wheel while Ctrl is held, moved by dragging, and put back by a double click.
document.querySelectorAll("figure svg").forEach(function (svg) {
  var whole = svg.getAttribute("viewBox").split(/[ ,]+/).map(Number), box = whole.slice(), start = null;
  function show() { svg.setAttribute("viewBox", box.join(" ")); svg.classList.toggle("zoomed", whole[2] > box[2]); }
  function place(event) {
    var frame = svg.getBoundingClientRect();
    return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
  }
  svg.addEventListener("wheel", function (event) {
    if (!event.ctrlKey) { return; }
    event.preventDefault();
    var at = place(event), width = Math.min(whole[2], Math.max(whole[2] / 40, box[2] * (event.deltaY > 0 ? 1.25 : 0.8)));
    var scale = width / box[2];
    [0, 1].forEach(function (axis) {
      var size = box[2 + axis] * scale, corner = box[axis] + at[axis] * (box[2 + axis] - size);
      box[axis] = Math.min(whole[axis] + whole[2 + axis] - size, Math.max(whole[axis], corner));
      box[2 + axis] = size;
    });
    show();
  }, { passive: false });
  svg.addEventListener("pointerdown", function (event) { if (whole[2] > box[2]) { start = place(event); svg.setPointerCapture(event.pointerId); } });
  svg.addEventListener("pointermove", function (event) {
    if (start === null) { return; }
    var at = place(event);
    [0, 1].forEach(function (axis) {
      var corner = box[axis] - (at[axis] - start[axis]) * box[2 + axis];
      box[axis] = Math.min(whole[axis] + whole[2 + axis] - box[2 + axis], Math.max(whole[axis], corner));
    });
    start = at;
    show();
  });
  svg.addEventListener("pointerup", function () { start = null; });
  svg.addEventListener("dblclick", function () { box = whole.slice(); show(); });
});
